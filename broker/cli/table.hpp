// A table of text with aligned columns, for people.
#pragma once

#include <string>
#include <vector>

namespace berth::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.size() == 1; }
  // Columns are two spaces apart; the last one is not padded. Ends with a newline.
  std::string str() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace berth::cli
