// SPDX-License-Identifier: BSD-3-Clause
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tools/bench/plot_file.hpp"

namespace vhostx::tools::bench {
namespace {

class PlotFiles : public testing::Test {
 protected:
  PlotFiles() {
    char name[] = "/tmp/vhostx-plot-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~PlotFiles() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ / name; }
  static std::string text_in(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

 private:
  std::filesystem::path folder_;
};

TEST_F(PlotFiles, OneThatCannotBeOpenedIsNamedWithTheReason) {
  const auto opened = PlotFile::open(path("missing/rates.svg"));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message,
            "--plot " + path("missing/rates.svg") + ": the folder '" + path("missing") + "' does not exist");
}

TEST_F(PlotFiles, KeepWhatTheyHeldUntilThereIsSomethingToDraw) {
  std::ofstream(path("rates.svg")) << "the plot of yesterday";
  {
    auto file = PlotFile::open(path("rates.svg"));
    ASSERT_TRUE(file) << file.error().message;
  }
  EXPECT_EQ(text_in(path("rates.svg")), "the plot of yesterday");
  auto file = PlotFile::open(path("rates.svg"));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(file->write("<svg/>"));
  EXPECT_EQ(text_in(path("rates.svg")), "<svg/>");
}

TEST_F(PlotFiles, AreNotLeftBehindEmpty) {
  { EXPECT_TRUE(PlotFile::open(path("rates.svg"))); }
  EXPECT_FALSE(std::filesystem::exists(path("rates.svg")));
  {
    auto file = PlotFile::open(path("rates.svg"));
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_TRUE(file->write("<svg/>"));
  }
  EXPECT_EQ(text_in(path("rates.svg")), "<svg/>");
}

TEST_F(PlotFiles, ADiskThatIsFullIsSaid) {
  auto file = PlotFile::open("/dev/full");
  ASSERT_TRUE(file) << file.error().message;
  const auto written = file->write("<svg/>");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().message, "--plot /dev/full: No space left on device");
}

}  // namespace
}  // namespace vhostx::tools::bench
