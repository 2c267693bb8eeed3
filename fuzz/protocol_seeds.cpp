// SPDX-License-Identifier: BSD-3-Clause
// Makes the fuzzers' dictionary and first inputs from the table of messages: `protocol_seeds --write DIR` makes
// DIR/vhost_user.dict, DIR/corpus/fuzz_codec and DIR/corpus/fuzz_channel; `--check DIR` fails when they differ.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "fuzz/protocol_input.hpp"
#include "protocol/codec.hpp"

namespace {

using namespace vhostx::protocol;
using vhostx::fuzz::Chunk;

using Files = std::map<std::string, std::string>;

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A well-formed message of the row, with `fds` as the number of descriptors to send with it.
struct Sample {
  std::string name;
  Incoming incoming;
  std::vector<std::byte> bytes;
  std::size_t fds;
};

Sample sample_of(Incoming incoming, const RequestRow& row) {
  const PayloadShape& shape = is_reply(incoming) ? row.reply_payload : row.payload;
  const FdCount& fds = is_reply(incoming) ? row.reply_fds : row.fds;
  Message message(
      Header{row.id, Header::version_1 | (is_reply(incoming) ? Header::reply : Header::need_reply), shape.max});
  std::size_t fd_count = fds.max;
  const auto put = [&message](std::size_t offset, std::uint32_t value) {
    std::memcpy(message.payload().data() + offset, &value, sizeof value);
  };
  if (shape.kind == PayloadKind::memory_table) put(0, 8);
  if (shape.kind == PayloadKind::config) put(4, static_cast<std::uint32_t>(config_bytes_max));
  if ((shape.kind == PayloadKind::vring_fd || shape.kind == PayloadKind::vring_area) && fd_count == 0)
    put(0, vring_no_fd);
  return {std::string(row.name) + (is_reply(incoming) ? "_reply" : ""), incoming, encode(message), fd_count};
}

std::vector<Sample> samples() {
  std::vector<Sample> all;
  for (const auto& row : front_end_rows()) {
    all.push_back(sample_of(Incoming::front_end_requests, row));
    all.push_back(sample_of(Incoming::replies_to_front_end, row));
  }
  for (const auto& row : back_end_rows()) {
    all.push_back(sample_of(Incoming::back_end_requests, row));
    all.push_back(sample_of(Incoming::replies_to_back_end, row));
  }
  return all;
}

std::string dictionary() {
  std::string text = "# Made by protocol_seeds from the table of messages: request, flags, size of each header.\n";
  for (const Sample& sample : samples()) {
    text += sample.name + "=\"";
    for (std::size_t i = 0; i < message_header_bytes; ++i)
      text += fmt::format("\\x{:02x}", static_cast<unsigned>(sample.bytes[i]));
    text += "\"\n";
  }
  return text;
}

Files make_files() {
  Files files;
  files["vhost_user.dict"] = dictionary();
  std::string session;
  for (const Sample& sample : samples()) {
    files["corpus/fuzz_codec/" + sample.name] =
        text_of(vhostx::fuzz::codec_input(sample.incoming, sample.fds, sample.bytes));
    const Chunk whole{sample.fds, sample.bytes};
    const std::vector<std::byte> head(sample.bytes.begin(), sample.bytes.begin() + 5);
    const std::vector<std::byte> rest(sample.bytes.begin() + 5, sample.bytes.end());
    files["corpus/fuzz_channel/" + sample.name] = text_of(vhostx::fuzz::channel_input(sample.incoming, {{whole}}));
    files["corpus/fuzz_channel/" + sample.name + "_in_two"] =
        text_of(vhostx::fuzz::channel_input(sample.incoming, {Chunk{sample.fds, head}, Chunk{0, rest}}));
  }
  return files;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

int write_files(const std::filesystem::path& folder) {
  for (const auto& [name, content] : make_files()) {
    std::filesystem::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::binary) << content;
  }
  return 0;
}

int check_files(const std::filesystem::path& folder) {
  int wrong = 0;
  for (const auto& [name, content] : make_files()) {
    if (std::filesystem::exists(folder / name) && read(folder / name) == content) continue;
    fmt::print(stderr, "{} is not what the table gives; run protocol_seeds --write {}\n", name, folder.string());
    ++wrong;
  }
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc == 3 ? argv[1] : "";
  if (mode == "--write") return write_files(argv[2]);
  if (mode == "--check") return check_files(argv[2]);
  fmt::print(stderr, "usage: protocol_seeds --write|--check FUZZ-FOLDER\n");
  return 2;
}
