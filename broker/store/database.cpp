#include "broker/store/database.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "broker/base/unique_fd.hpp"

namespace berth::store {

namespace {

// Raised with every change of the tables that an older Berth could not read.
constexpr long long kSchemaVersion = 1;
// Marks the file as ours (PRAGMA application_id): "Brth".
constexpr long long kApplicationId = 0x42727468;

Code code_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_FULL: return Code::resource_exhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Code::unavailable;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH: return Code::permission_denied;
    default: return Code::io;
  }
}

// SQLite syncs its journals' folder, but not the folder of a new database.
Result<> sync_folder(const std::string& path) {
  const std::string folder = std::filesystem::path{path}.parent_path().string();
  const UniqueFd fd{::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno(errno, fmt::format("sync the folder of `{}`", path));
  return {};
}

// The database holds secrets: nobody else may read it, from its first byte on. SQLite's journals take its mode.
Result<> make_private_file(const std::string& path) {
  const UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!fd) return fail_errno(errno, fmt::format("open the database `{}`", path));
  return {};
}

Result<> bind_text(sqlite3_stmt* statement, int index, std::string_view text) {
  // Static: every caller steps the statement while the text lives.
  if (sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8) != SQLITE_OK) {
    return fail(Code::resource_exhausted, "a record of {} bytes is more than the store takes", text.size());
  }
  return {};
}

std::string_view column_text(sqlite3_stmt* statement, int column) {
  const void* text = sqlite3_column_blob(statement, column);
  return {static_cast<const char*>(text), static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
}

}  // namespace

void Database::CloseDatabase::operator()(sqlite3* database) const { sqlite3_close(database); }
void Database::FinalizeStatement::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

std::unexpected<Error> Database::failure(std::string_view what) const {
  const int code = sqlite3_extended_errcode(connection_.get());
  return fail(Error{code_of(code), fmt::format("{} the database `{}`: {}", what, path_, sqlite3_errmsg(connection_.get())),
                    sqlite3_system_errno(connection_.get())});
}

Result<Database> Database::open(const std::string& path) {
  if (const auto made = make_private_file(path); !made) return fail(made.error());
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database{Connection{raw}, path};
  if (opened != SQLITE_OK) return database.failure("open");
  if (auto configured = database.configure(); !configured) return fail(configured.error());
  if (auto checked = database.check_schema(); !checked) return fail(checked.error());
  if (auto prepared = database.prepare_statements(); !prepared) return fail(prepared.error());
  return database;
}

Result<> Database::configure() {
  sqlite3_extended_result_codes(connection_.get(), 1);
  // Exclusive: one daemon owns the file (the keeper's lock says so). SQLite then keeps the index of its journal in its own
  // memory, not in a shared file that a killed daemon would leave half written, and takes its POSIX locks once. Those belong to
  // the descriptor table, which outlives the daemon: the next daemon on the same table isn't locked out by the dead one.
  for (const char* pragma : {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"}) {
    if (auto done = execute(pragma); !done) {
      if ((sqlite3_errcode(connection_.get()) & 0xff) == SQLITE_NOTADB) {
        return fail(Code::failed_precondition, "`{}` is not a database of Berth's, or damaged: move it away to start anew",
                    path_);
      }
      return done;
    }
  }
  return {};
}

Result<> Database::check_schema() {
  const auto application = query_number("PRAGMA application_id");
  if (!application) return fail(application.error());
  const auto tables = query_number("SELECT count(*) FROM sqlite_master");
  if (!tables) return fail(tables.error());
  if (*application == 0 && *tables == 0) return make_schema();
  if (*application != kApplicationId) {
    return fail(Code::failed_precondition, "`{}` is another program's database", path_);
  }
  const auto version = query_number("SELECT CAST(value AS INTEGER) FROM meta WHERE name='schema_version'");
  if (!version) return fail(version.error());
  if (*version > kSchemaVersion) {
    return fail(Code::failed_precondition,
                "`{}` was written by a newer Berth (its schema is version {}, this one knows {}): start that one, or another "
                "state directory",
                path_, *version, kSchemaVersion);
  }
  return {};
}

Result<> Database::make_schema() {
  const std::string sql = fmt::format(
      "BEGIN IMMEDIATE;"
      "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
      "CREATE TABLE records(kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;"
      "INSERT INTO meta VALUES('schema_version', '{}');"
      "PRAGMA application_id={};"
      "COMMIT",
      kSchemaVersion, kApplicationId);
  if (auto made = execute(sql.c_str()); !made) return made;
  return sync_folder(path_);
}

Result<> Database::prepare_statements() {
  auto put = prepare("INSERT INTO records VALUES(?1,?2,?3) ON CONFLICT(kind,key) DO UPDATE SET value=excluded.value");
  if (!put) return fail(put.error());
  auto erase = prepare("DELETE FROM records WHERE kind=?1 AND key=?2");
  if (!erase) return fail(erase.error());
  put_ = std::move(*put);
  erase_ = std::move(*erase);
  return {};
}

Result<> Database::commit(std::span<const Batch> batches) {
  const auto write_all = [&]() -> Result<> {
    if (auto begun = execute("BEGIN IMMEDIATE"); !begun) return begun;
    for (const Batch& batch : batches) {
      for (const RecordChange& change : batch) {
        if (auto applied = apply(change); !applied) return applied;
      }
    }
    return execute("COMMIT");
  };
  auto written = write_all();
  // Some failures roll back by themselves; a roll-back without a transaction would only report that.
  if (!written && sqlite3_get_autocommit(connection_.get()) == 0) static_cast<void>(execute("ROLLBACK"));
  return written;
}

Result<> Database::apply(const RecordChange& change) {
  sqlite3_stmt* statement = change.value ? put_.get() : erase_.get();
  auto bound = bind_text(statement, 1, change.kind);
  if (bound) bound = bind_text(statement, 2, change.key);
  if (bound && change.value) bound = bind_text(statement, 3, *change.value);
  Result<> applied = bound;
  if (bound && sqlite3_step(statement) != SQLITE_DONE) applied = failure("write to");
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return applied;
}

Result<> Database::load(const Store::Visit& visit) {
  const auto select = prepare("SELECT kind, key, value FROM records ORDER BY kind, key");
  if (!select) return fail(select.error());
  int step = SQLITE_ROW;
  while ((step = sqlite3_step(select->get())) == SQLITE_ROW) {
    sqlite3_stmt* row = select->get();
    if (auto visited = visit(column_text(row, 0), column_text(row, 1), column_text(row, 2)); !visited) return visited;
  }
  if (step != SQLITE_DONE) return failure("read");
  return {};
}

Result<> Database::execute(const char* sql) {
  if (sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure("write to");
  return {};
}

Result<Database::Statement> Database::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(connection_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
    return failure("read");
  }
  return Statement{statement};
}

Result<long long> Database::query_number(const char* sql) {
  const auto statement = prepare(sql);
  if (!statement) return fail(statement.error());
  if (sqlite3_step(statement->get()) != SQLITE_ROW) return failure("read");
  return sqlite3_column_int64(statement->get(), 0);
}

}  // namespace berth::store
