// SPDX-License-Identifier: BSD-3-Clause
// vhostx-probe report: its command line, whole and damaged records, where the page goes.
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "probe_report_fixture.hpp"
#include "tools/probe/options.hpp"
#include "tools/probe/report/write_page.hpp"

namespace vhostx::test {
namespace {

using tools::EarlyExit;

TEST(ProbeReportOptions, AreRead) {
  const auto parsed = parse_options({"report", "a.jsonl", "--html", "a.html"});
  ASSERT_TRUE(std::holds_alternative<Options>(parsed));
  const auto& options = std::get<ReportOptions>(std::get<Options>(parsed));
  EXPECT_EQ(options.path, "a.jsonl");
  EXPECT_EQ(options.html, "a.html");
  EXPECT_TRUE(std::holds_alternative<EarlyExit>(parse_options({"report", "a.jsonl"})));
  EXPECT_TRUE(std::holds_alternative<EarlyExit>(parse_options({"report", "--html", "a.html"})));
}

class ProbeReportFiles : public testing::Test {
 protected:
  ProbeReportFiles() {
    std::string name = testing::TempDir() + "/probe-report-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = name;
  }
  ~ProbeReportFiles() override { std::filesystem::remove_all(directory_); }

  std::string path(const char* name) const { return directory_ + "/" + name; }
  void write(const char* name, const std::string& text) const { std::ofstream(path(name), std::ios::binary) << text; }
  std::string read(const char* name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  int report() const { return run_report({path("a.jsonl"), path("a.html")}); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory_), {}));
  }

  std::string directory_;
};

TEST_F(ProbeReportFiles, WritesThePageAndReplacesIt) {
  write("a.jsonl", whole_session().text());
  write("a.html", "old");
  ::chmod(path("a.html").c_str(), 0640);
  EXPECT_EQ(report(), 0);
  EXPECT_EQ(read("a.html").rfind("<!DOCTYPE html>", 0), 0U);
  struct stat status {};
  ::stat(path("a.html").c_str(), &status);
  EXPECT_EQ(status.st_mode & 0777, 0640U);
  EXPECT_EQ(files(), 2U) << "nothing is left beside them";
}

TEST_F(ProbeReportFiles, ReplacesWhatALinkNames) {
  write("real.html", "old");
  ASSERT_EQ(::symlink("real.html", path("a.html").c_str()), 0);
  ASSERT_TRUE(write_page(path("a.html"), "new"));
  EXPECT_TRUE(std::filesystem::is_symlink(path("a.html")));
  EXPECT_EQ(read("real.html"), "new");
}

TEST_F(ProbeReportFiles, ReportsADamagedRecordUpToItsDamage) {
  write("a.jsonl", whole_session().text() + "rubbish <b>\n" + line_of(Event{}));
  EXPECT_EQ(report(), 1);
  const std::string page = read("a.html");
  EXPECT_TRUE(contains(page, "✖ damaged record"));
  EXPECT_TRUE(contains(page, "line 23: not a JSON object: &#39;rubbish &lt;b&gt;&#39;"));
  EXPECT_EQ(count(page, "class=\"arrow "), 20U);
  EXPECT_TRUE(contains(page, "vhostx-probe test")) << "the header was read";
}

TEST_F(ProbeReportFiles, LeavesOutALastLineWithoutItsEnd) {
  const std::string text = whole_session().text();
  write("a.jsonl", text.substr(0, text.size() - 20));
  EXPECT_EQ(report(), 0);
  const std::string page = read("a.html");
  EXPECT_EQ(count(page, "class=\"arrow "), 19U);
  EXPECT_TRUE(contains(page, "The last line of the record has no end"));
}

TEST_F(ProbeReportFiles, WritesNoPageOfWhatIsNoRecord) {
  for (const char* text : {"", "\n", "{}\n", "a\n", "{\"format\":\"vhostx-probe record\",\"version\":99}\n"}) {
    write("a.jsonl", text);
    write("a.html", "old");
    EXPECT_EQ(report(), 1) << text;
    EXPECT_EQ(read("a.html"), "old");
  }
  EXPECT_EQ(run_report({path("none.jsonl"), path("b.html")}), 1);
  EXPECT_EQ(run_report({directory_, path("b.html")}), 1) << "a directory";
  EXPECT_EQ(files(), 2U);
}

TEST_F(ProbeReportFiles, ReportsARecordWithoutEvents) {
  write("a.jsonl", Recording().text());
  EXPECT_EQ(report(), 0);
  EXPECT_TRUE(contains(read("a.html"), "0 messages, and nothing found"));
}

TEST_F(ProbeReportFiles, RefusesToReplaceTheRecordAndWhatCannotBe) {
  write("a.jsonl", whole_session().text());
  EXPECT_EQ(run_report({path("a.jsonl"), path("a.jsonl")}), 2);
  EXPECT_EQ(run_report({path("a.jsonl"), directory_}), 1);
  EXPECT_EQ(run_report({path("a.jsonl"), path("none/a.html")}), 1);
  EXPECT_EQ(run_report({path("a.jsonl"), "/dev/full"}), 1) << "written in place";
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
  EXPECT_EQ(read("a.jsonl"), whole_session().text());
}

}  // namespace
}  // namespace vhostx::test
