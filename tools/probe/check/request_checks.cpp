// SPDX-License-Identifier: BSD-3-Clause
// The same of every request that a network back-end can take: acknowledged when it is asked to be, silent when not,
// and answered once where it has a reply of its own.
#include <algorithm>
#include <cctype>
#include <iterator>

#include "tools/probe/check/check.hpp"
#include "tools/probe/check/samples.hpp"

namespace vhostx::tools::probe {

using namespace protocol;

namespace {

constexpr const char* reply_ack_section = "VHOST_USER_PROTOCOL_F_REPLY_ACK";

std::string lower(std::string_view name) {
  std::string text(name);
  for (char& letter : text)
    letter = letter == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return text;
}

Verdict acknowledged(const Subject& subject, const Sample& sample) {
  need_offered(subject, ProtocolFeature::reply_ack);
  SampleGuest made(subject, sample);
  const std::uint64_t status = made.link().ack(made.request());
  if (status != 0) return failed("status {}, 0 expected", status);
  made.link().sync(sample.name() + " with NEED_REPLY");
  return passed("status 0 in 8 bytes, once");
}

Verdict silent(const Subject& subject, const Sample& sample) {
  SampleGuest made(subject, sample);
  made.link().put(made.request());
  made.link().sync(sample.name() + " without NEED_REPLY");
  return passed("no reply");
}

Verdict answered(const Subject& subject, const Sample& sample, bool need_reply) {
  if (need_reply) need_offered(subject, ProtocolFeature::reply_ack);
  SampleGuest made(subject, sample);
  const RequestRow& row = row_of(sample.request);
  Message request = made.request();
  const RawReply reply = made.link().exchange(need_reply ? asking(std::move(request)) : std::move(request));
  if (!row.reply_payload.allows(static_cast<std::uint32_t>(reply.payload.size())))
    return failed("{} bytes, {} to {} expected", reply.payload.size(), row.reply_payload.min, row.reply_payload.max);
  if (!row.reply_fds.allows(reply.fds.size()))
    return failed("{} descriptors, {} to {} expected", reply.fds.size(), row.reply_fds.min, row.reply_fds.max);
  made.link().sync(sample.name() + (need_reply ? " with NEED_REPLY" : ""));
  return passed("{} bytes, {} descriptors, once", reply.payload.size(), reply.fds.size());
}

void add_sample(Checks& checks, const Sample& sample) {
  const std::string name = sample.name();
  const std::string section = "VHOST_USER_" + name;
  if (row_of(sample.request).reply == ReplyKind::ack) {
    checks.push_back({"ack." + lower(name), reply_ack_section, name + " with NEED_REPLY is acknowledged with 0, once",
                      [sample](const Subject& subject) { return acknowledged(subject, sample); }});
    checks.push_back({"silent." + lower(name), section, name + " without NEED_REPLY is not answered",
                      [sample](const Subject& subject) { return silent(subject, sample); }});
    return;
  }
  checks.push_back({"reply." + lower(name), section, name + " is answered with the right length",
                    [sample](const Subject& subject) { return answered(subject, sample, false); }});
  checks.push_back({"reply-once." + lower(name), reply_ack_section,
                    name + " with NEED_REPLY has its own reply and no acknowledgement",
                    [sample](const Subject& subject) { return answered(subject, sample, true); }});
}

}  // namespace

void add_request_checks(Checks& checks) {
  Checks mixed;
  for (const Sample& sample : samples()) add_sample(mixed, sample);
  std::stable_sort(mixed.begin(), mixed.end(), [](const Check& a, const Check& b) { return a.group() < b.group(); });
  std::move(mixed.begin(), mixed.end(), std::back_inserter(checks));
}

}  // namespace vhostx::tools::probe
