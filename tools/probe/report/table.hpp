// SPDX-License-Identifier: BSD-3-Clause
// A table that becomes a list of cards where the page is narrow. The roles say what it is there too: a table whose
// display changes is none to a screen reader.
#pragma once

#include <string>
#include <vector>

#include "tools/probe/report/html.hpp"

namespace vhostx::tools::probe {

class Table {
 public:
  struct Column {
    const char* title;
    const char* classes;  ///< "number": set in figures of one width, not wrapped.
  };

  Table(const char* caption, std::vector<Column> columns);
  /// One cell for each column; the first one heads the row.
  void row(const std::vector<Html>& cells, const std::string& id = {});
  Html html() const;

 private:
  std::vector<Column> columns_;
  Html text_;
};

}  // namespace vhostx::tools::probe
