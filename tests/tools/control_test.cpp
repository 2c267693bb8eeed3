// SPDX-License-Identifier: BSD-3-Clause
// The control socket's requests and answers, and vhostx-switch ctl's command line and text.
#include <map>
#include <new>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/tools/command_line.hpp"
#include "tools/switch/control_commands.hpp"
#include "tools/switch/control_options.hpp"
#include "tools/switch/control_request.hpp"
#include "tools/switch/control_text.hpp"

namespace vhostx::tools {
namespace {

constexpr ControlCommand control_commands[]{
    ControlCommand::ports,      ControlCommand::add_port,  ControlCommand::remove_port,
    ControlCommand::disconnect, ControlCommand::addresses, ControlCommand::flush_addresses,
    ControlCommand::events,     ControlCommand::log_level, ControlCommand::stats};

std::string why_refused(std::string_view line) {
  const auto request = parse_request(line);
  if (request) ADD_FAILURE() << line << ": accepted";
  return request ? "" : request.error().message;
}

TEST(ControlRequest, IsReadAsItIsWritten) {
  for (const auto command : control_commands) {
    const bool has_argument =
        command != ControlCommand::ports && command != ControlCommand::events && command != ControlCommand::stats;
    const ControlRequest request{command, has_argument ? "/tmp/a \"b\"\\,queues=2" : ""};
    const auto parsed = parse_request(request_line(request));
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->command, request.command);
    EXPECT_EQ(parsed->argument, request.argument);
  }
}

TEST(ControlRequest, WhatItNeedsIsSaid) {
  for (const char* line : {"", "x", "[]", "1", "null", "\"ports\"", "{", "{\"command\":\"ports\"}x", "\xff",
                           "{\"command\":\"ports\"}{\"command\":\"ports\"}"})
    EXPECT_NE(why_refused(line).find("one JSON object on a line"), std::string::npos) << line;
  for (const char* line : {"{}", "{\"command\":1}", "{\"command\":null}", "{\"Command\":\"ports\"}"})
    EXPECT_NE(why_refused(line).find("expected ports, add-port"), std::string::npos) << line;
  EXPECT_NE(why_refused("{\"command\":\"port\"}").find("'port' is not known: expected ports, "), std::string::npos);
  EXPECT_NE(why_refused("{\"command\":\"add-port\"}").find("add-port: expected a field \"port\""), std::string::npos);
  EXPECT_NE(why_refused("{\"command\":\"ports\",\"port\":\"a\"}").find("\"port\" is not known"), std::string::npos);
  EXPECT_NE(why_refused("{\"command\":\"addresses\",\"level\":\"a\"}").find("\"level\" is not known"),
            std::string::npos);
  for (const char* value : {"1", "null", "[\"a\"]", "{}", "\"\"", "true", "\"a\\u0000b\""})
    EXPECT_NE(why_refused(std::string("{\"command\":\"remove-port\",\"port\":") + value + "}").find("is not a text"),
              std::string::npos)
        << value;
}

TEST(ControlRequest, MayBeDeep) {
  why_refused(std::string(request_bytes_max, '['));
  std::string objects;
  while (objects.size() + 5 < request_bytes_max) objects += "{\"\":";
  why_refused(objects);
  const std::string closed(request_bytes_max / 2, '[');
  why_refused("{\"command\":" + closed + std::string(request_bytes_max / 2, ']') + "}");
}

/// Remembers what it was asked for.
class RecordedSwitch : public ControlledSwitch {
 public:
  Snapshot snapshot() override {
    Snapshot all;
    all.seconds = 2;
    for (const char* name : {"/tmp/a", "/tmp/b"}) {
      all.ports.emplace_back();
      all.ports.back().name = name;
      all.ports.back().stations = 3;
    }
    all.ports[0].connected = true;
    all.ports[0].vrings_started = 2;
    all.ports[0].drops.ring_full = 8;
    all.ports[1].last_error = "connect: no such file";
    return all;
  }
  Result<void> add_port(const std::string& spec) override {
    if (spec == "throws") throw std::bad_alloc();
    if (spec == "taken") return Error{ErrorCode::busy, "it is \"taken\"", 0};
    asked = spec;
    return {};
  }
  Result<PortSnapshot> remove_port(const std::string& name) override {
    if (name != "/tmp/a") return Error{ErrorCode::invalid_argument, "there is no port '" + name + "'", 0};
    return snapshot().ports[0];
  }
  Result<void> disconnect(const std::string& port) override {
    if (port != "/tmp/a") return Error{ErrorCode::closed, "port '" + port + "' has no front-end", 0};
    return {};
  }
  Result<std::vector<LearnedAddress>> addresses(const std::string& port) override {
    asked = port;
    return std::vector<LearnedAddress>{{0x0200'0000'5452u, "/tmp/a", 12}};
  }
  Result<std::uint32_t> flush_addresses(const std::string& port) override {
    asked = port;
    return 7u;
  }
  LogLevel log_level() override { return level; }
  void set_log_level(LogLevel to) override { level = to; }

  std::string asked = "nothing";
  LogLevel level = LogLevel::warning;
};

nlohmann::json answer_to(RecordedSwitch& target, const ControlRequest& request) {
  const auto answer = answer_line(target, request_line(request));
  EXPECT_EQ(answer.line.find('\n'), std::string::npos);
  EXPECT_EQ(answer.follows, request.command == ControlCommand::events);
  return nlohmann::json::parse(answer.line);
}

TEST(ControlAnswer, HasTheResult) {
  RecordedSwitch target;
  EXPECT_EQ(answer_to(target, {ControlCommand::ports, ""})["result"][1]["name"], "/tmp/b");
  EXPECT_EQ(answer_to(target, {ControlCommand::stats, ""})["result"]["event"], "stats");
  EXPECT_EQ(answer_to(target, {ControlCommand::add_port, "/tmp/c,queues=2"}),
            nlohmann::json::parse(R"({"ok": true, "result": {"port": "/tmp/c"}})"));
  EXPECT_EQ(target.asked, "/tmp/c,queues=2");
  EXPECT_EQ(answer_to(target, {ControlCommand::remove_port, "/tmp/a"})["result"]["switch_drops"]["ring_full"], 8);
  EXPECT_EQ(answer_to(target, {ControlCommand::disconnect, "/tmp/a"})["result"]["port"], "/tmp/a");
  EXPECT_EQ(answer_to(target, {ControlCommand::addresses, ""})["result"],
            nlohmann::json::parse(R"([{"address": "52:54:00:00:00:02", "port": "/tmp/a", "age": 12}])"));
  EXPECT_EQ(target.asked, "");
  EXPECT_EQ(answer_to(target, {ControlCommand::flush_addresses, "/tmp/a"})["result"]["flushed"], 7);
  EXPECT_EQ(target.asked, "/tmp/a");
  EXPECT_EQ(answer_to(target, {ControlCommand::log_level, ""})["result"]["level"], "warning");
  EXPECT_EQ(answer_to(target, {ControlCommand::log_level, "debug"})["result"]["level"], "debug");
  EXPECT_EQ(target.level, LogLevel::debug);
  EXPECT_EQ(answer_to(target, {ControlCommand::events, ""})["ok"], true);
}

TEST(ControlAnswer, OrTheReason) {
  RecordedSwitch target;
  EXPECT_EQ(answer_to(target, {ControlCommand::add_port, "taken"}),
            nlohmann::json::parse(R"({"ok": false, "error": "it is \"taken\""})"));
  EXPECT_EQ(answer_to(target, {ControlCommand::add_port, "throws"})["ok"], false);
  EXPECT_EQ(answer_to(target, {ControlCommand::remove_port, "/tmp/x"})["error"], "there is no port '/tmp/x'");
  EXPECT_EQ(answer_to(target, {ControlCommand::disconnect, "/tmp/b"})["error"], "port '/tmp/b' has no front-end");
  EXPECT_EQ(answer_to(target, {ControlCommand::log_level, "loud"})["ok"], false);
  EXPECT_EQ(target.level, LogLevel::warning);
  const auto rubbish = nlohmann::json::parse(answer_line(target, "\xff\xfe").line);
  EXPECT_EQ(rubbish["ok"], false);
  EXPECT_EQ(target.asked, "nothing");
}

ControlOptions good_ctl(const std::string& line) { return accepted(line, parse_control_options(words_of(line))); }

std::string refused_ctl(const std::string& line) { return refusal(line, parse_control_options(words_of(line))); }

TEST(ControlOptions, EachCommand) {
  for (const auto command : control_commands) {
    const bool needs = command == ControlCommand::add_port || command == ControlCommand::remove_port ||
                       command == ControlCommand::disconnect;
    EXPECT_EQ(good_ctl(std::string(to_string(command)) + (needs ? " a" : "")).request.command, command);
  }
  EXPECT_EQ(good_ctl("ports").path, control_path_default);
  const auto add = good_ctl("--control c --json add-port a,queues=2");
  EXPECT_EQ(add.path, "c");
  EXPECT_TRUE(add.json);
  EXPECT_EQ(add.request.argument, "a,queues=2");
  const auto behind = good_ctl("log-level info --json --control c");
  EXPECT_TRUE(behind.json);
  EXPECT_EQ(behind.path, "c");
  EXPECT_EQ(behind.request.argument, "info");
}

TEST(ControlOptions, RefusalsSayWhatWasExpected) {
  refused_ctl("");
  refused_ctl("port");
  refused_ctl("ports a");
  refused_ctl("ports stats");
  refused_ctl("add-port");
  refused_ctl("remove-port a b");
  EXPECT_NE(refused_ctl("add-port a,queues=0").find("1 to 128"), std::string::npos);
  EXPECT_NE(refused_ctl("log-level loud").find("debug, info, warning or error"), std::string::npos);
  EXPECT_NE(refused_ctl("--control " + std::string(108, 'c') + " ports").find("107"), std::string::npos);
  EXPECT_NE(refused_ctl("remove-port " + std::string(request_bytes_max, 'c')).find("16384 bytes"), std::string::npos);
}

TEST(ControlOptions, HelpIsNoError) {
  for (const char* line : {"--help", "ports --help", "add-port --help"}) {
    const auto parsed = parse_control_options(words_of(line));
    ASSERT_TRUE(std::holds_alternative<EarlyExit>(parsed)) << line;
    EXPECT_EQ(std::get<EarlyExit>(parsed).code, 0) << line;
  }
}

std::string text_for(const ControlRequest& request) {
  RecordedSwitch target;
  return text_of_answer(request.command, answer_line(target, request_line(request)).line).value();
}

TEST(ControlText, IsForPeople) {
  const auto ports = text_for({ControlCommand::ports, ""});
  for (const char* expected : {"/tmp/a  2 rings", "8 ring_full", "/tmp/b  waiting", "last error: connect: no such"})
    EXPECT_NE(ports.find(expected), std::string::npos) << ports;
  EXPECT_EQ(text_for({ControlCommand::add_port, "/tmp/c,queues=2"}), "/tmp/c: added\n");
  EXPECT_NE(text_for({ControlCommand::remove_port, "/tmp/a"}).find("/tmp/a: removed"), std::string::npos);
  EXPECT_NE(text_for({ControlCommand::addresses, ""}).find("52:54:00:00:00:02  /tmp/a  12 s\n"), std::string::npos);
  EXPECT_EQ(text_for({ControlCommand::disconnect, "/tmp/a"}), "/tmp/a: front-end disconnected\n");
  EXPECT_EQ(text_for({ControlCommand::flush_addresses, ""}), "7 addresses forgotten\n");
  EXPECT_EQ(text_for({ControlCommand::log_level, ""}), "log level: warning\n");
  EXPECT_NE(text_for({ControlCommand::stats, ""}).find("after 2.0 s"), std::string::npos);
  EXPECT_EQ(text_of_event(R"({"event":"x","text":"in words"})"), "in words");
  EXPECT_EQ(text_of_event(R"({"event":"x"})"), R"({"event":"x"})");
}

TEST(ControlText, TakesAnyAnswer) {
  for (const auto command : control_commands) {
    for (const char* answer : {"", "x", "[]", "{}", "{\"ok\":1}", "{\"ok\":false}", "\xff"})
      EXPECT_FALSE(text_of_answer(command, answer)) << answer;
    for (const char* result : {"1", "null", "[]", "{}", "[1,{}]", "{\"ports\":1}", "[{\"name\":1,\"connected\":1}]",
                               "{\"ports\":[{\"from_guest\":{\"drops\":[]}}]}", "\"x\""})
      (void)text_of_answer(command, std::string("{\"ok\":true,\"result\":") + result + "}");
  }
  EXPECT_EQ(json_of_answer("{\"ok\":true,\"result\":{\"a\":[1]}}").value(), "{\"a\":[1]}\n");
  EXPECT_EQ(json_of_answer("{\"ok\":false,\"error\":\"no\"}").error().message, "no");
}

}  // namespace
}  // namespace vhostx::tools
