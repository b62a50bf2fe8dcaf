// Database: the SQLite file of the store: opening, schema, one transaction at a time. Used by one thread at a time.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "broker/base/error.hpp"
#include "broker/store/store.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace berth::store {

class Database {
 public:
  static Result<Database> open(const std::string& path);

  // All batches in one transaction with one fsync: either all are on disk afterwards or none.
  Result<> commit(std::span<const Batch> batches);
  Result<> load(const Store::Visit& visit);

 private:
  struct CloseDatabase {
    void operator()(sqlite3* database) const;
  };
  struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Connection = std::unique_ptr<sqlite3, CloseDatabase>;
  using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

  Database(Connection connection, std::string path) : connection_(std::move(connection)), path_(std::move(path)) {}
  Result<> configure();
  Result<> check_schema();
  Result<> make_schema();
  Result<> prepare_statements();
  Result<> execute(const char* sql);
  Result<> apply(const RecordChange& change);
  Result<Statement> prepare(const char* sql);
  Result<long long> query_number(const char* sql);
  std::unexpected<Error> failure(std::string_view what) const;

  Connection connection_;  // dies after the statements
  Statement put_, erase_;
  std::string path_;
};

}  // namespace berth::store
