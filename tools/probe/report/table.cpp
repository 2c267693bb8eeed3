// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/report/table.hpp"

namespace vhostx::tools::probe {

Table::Table(const char* caption, std::vector<Column> columns) : columns_(std::move(columns)) {
  add(text_,
      "<table class=\"cards\" role=\"table\">\n<caption>{}</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">",
      caption);
  for (const Column& column : columns_)
    add(text_, "<th scope=\"col\" role=\"columnheader\" class=\"{}\">{}</th>", column.classes, column.title);
  text_.text += "</tr></thead>\n<tbody role=\"rowgroup\">\n";
}

void Table::row(const std::vector<Html>& cells, const std::string& id) {
  if (id.empty())
    text_.text += "<tr role=\"row\">";
  else
    add(text_, "<tr role=\"row\" id=\"{}\">", id);
  for (std::size_t i = 0; i < cells.size() && i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    if (i == 0)
      add(text_, "<th scope=\"row\" role=\"rowheader\" class=\"{}\" data-title=\"{}\">{}</th>", column.classes,
          column.title, cells[i]);
    else
      add(text_, "<td role=\"cell\" class=\"{}\" data-title=\"{}\">{}</td>", column.classes, column.title, cells[i]);
  }
  text_.text += "</tr>\n";
}

Html Table::html() const { return Html{text_.text + "</tbody></table>\n"}; }

}  // namespace vhostx::tools::probe
