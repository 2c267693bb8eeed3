// SPDX-License-Identifier: BSD-3-Clause
// What the command lines of the tools share.
#include <cerrno>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tools/common/command_line.hpp"
#include "tools/common/help.hpp"
#include "tools/common/nearest.hpp"
#include "tools/common/paths.hpp"
#include "tools/common/values.hpp"

namespace vhostx::tools {
namespace {

TEST(Nearest, CountsSlipsOfTheHand) {
  EXPECT_EQ(edit_distance("query", "query"), 0U);
  EXPECT_EQ(edit_distance("qurey", "query"), 1U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(Nearest, SaysNothingWhereNoWordIsNear) {
  const std::vector<std::string> known{"query", "listen", "trace"};
  EXPECT_EQ(nearest("qurey", known), "query");
  EXPECT_EQ(nearest("lisen", known), "listen");
  EXPECT_EQ(nearest("ask", known), "");
  EXPECT_EQ(nearest("", known), "");
  EXPECT_EQ(nearest(std::string(100'000, 'x'), known), "");
  EXPECT_EQ(did_you_mean("trce", known), ": did you mean 'trace'?");
}

TEST(Paths, TheMissingFolderIsNamed) {
  EXPECT_EQ(why_not("/no-such-folder/a/b", ENOENT), "the folder '/no-such-folder' does not exist");
  EXPECT_EQ(why_not("no-such-folder/b", ENOENT), "the folder 'no-such-folder' does not exist");
  EXPECT_EQ(why_not("/tmp/no-such-file", ENOENT), "No such file or directory");
  EXPECT_EQ(why_not("/no-such-folder/a", EACCES), "Permission denied");
}

TEST(Help, LongTextsAreWrappedInTheirColumn) {
  const auto row = help_row("--name N", std::string(30, 'a') + ' ' + std::string(30, 'b') + ' ' + std::string(30, 'c'));
  EXPECT_EQ(row, "  --name N                    " + std::string(30, 'a') + ' ' + std::string(30, 'b') + "\n" +
                     std::string(30, ' ') + std::string(30, 'c'));
  EXPECT_EQ(help_row("--a-name-of-almost-thirty-letters", "x"),
            "  --a-name-of-almost-thirty-letters\n" + std::string(30, ' ') + "x");
}

/// A program of two commands, with each kind of option.
struct Program {
  CLI::App app{"A program", "program"};
  int number = 7;
  std::string word = "full";
  bool flag = false;

  Program() {
    set_help(app);
    set_version(app, "1.2");
    app.require_subcommand(1);
    auto* const run = app.add_subcommand("run", "Run it");
    expect_whole(run->add_option("--number", number, "A number")->type_name("N"), 1, 99, "apples");
    expect_word(run->add_option("--word", word, "A word")->type_name("full|head"));
    run->add_flag("--flag,!--no-flag", flag, "A flag");
  }

  std::string parse(const std::vector<std::string>& words) {
    const auto exit = parse_command_line(app, words);
    return exit ? exit->text : "";
  }
};

TEST(CommandLine, ValuesOfEachKind) {
  Program program;
  EXPECT_EQ(program.parse({"run", "--number", "010", "--word=head", "--flag"}), "");
  EXPECT_EQ(program.number, 10);
  EXPECT_EQ(program.word, "head");
  EXPECT_TRUE(program.flag);
  EXPECT_EQ(Program().parse({"--version"}), "program 1.2\n");
  EXPECT_EQ(Program().parse({"run", "--number", "0x10"}),
            "program: run: --number is '0x10': expected apples, 1 to 99\nSee program run --help.\n");
}

TEST(CommandLine, HelpHasNoTypesOfTheParser) {
  const auto help = Program().parse({"run", "--help"});
  EXPECT_EQ(help.substr(0, help.find_last_not_of('\n') + 1),
            "Run it\n"
            "Usage: program run [options]\n"
            "\n"
            "Options:\n"
            "  -h,--help                   Print this help and exit\n"
            "  --number N                  A number\n"
            "  --word full|head            A word\n"
            "  --flag,--no-flag            A flag");
}

TEST(CommandLine, WhatTheShellMayComplete) {
  EXPECT_EQ(Program().parse({"--complete", "r"}), "run\n");
  EXPECT_EQ(Program().parse({"--complete", "run", "--no-"}), "--no-flag\n");
  EXPECT_EQ(Program().parse({"--complete", "run", "--word", ""}), "full\nhead\n");
  EXPECT_EQ(Program().parse({"--complete", "run", "--word=h"}), "--word=head\n");
  EXPECT_EQ(Program().parse({"--complete", "run", "--number", ""}), "");
  EXPECT_EQ(Program().parse({"--complete"}), "run\n--help\n--version\n");
}

}  // namespace
}  // namespace vhostx::tools
