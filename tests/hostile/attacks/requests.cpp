// SPDX-License-Identifier: BSD-3-Clause
// Requests that this back-end does not serve, and numbers in requests that are out of range.
#include "tests/hostile/attacks/make.hpp"
#include "tools/front_end/config_messages.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

Group::Run send(std::function<Message(Guest&)> make, GuestPlan plan = {}) {
  return [make = std::move(make), plan](Attacker& attacker) {
    Guest& guest = attacker.guest(plan);
    attacker.wrong(make(guest));
  };
}
Group::Run send_plain(Request request) {
  return send([request](Guest&) { return make_request(request); });
}
Group::Run send_number(Request request, std::uint64_t value, GuestPlan plan = {}) {
  return send([=](Guest&) { return number(request, value); }, plan);
}
Group::Run send_state(Request request, std::uint32_t index, std::uint32_t value) {
  return send([=](Guest&) { return ring_state(request, index, value); });
}

Message log_base(std::uint64_t size, std::uint64_t offset) {
  return with_fd(make_request(Request::set_log_base, LogBase{size, offset}), memory_file(4096));
}
Message inflight(Request request, Inflight area) {
  Message message = make_request(request, area);
  return request == Request::set_inflight_fd ? with_fd(std::move(message), memory_file(4096)) : std::move(message);
}

// The guest's memory is larger than what these logs cover.
void add_logs(Group& group) {
  const GuestPlan logged{.features = {V::vhost_log_all}, .protocol = {P::log_shmfd}};
  group.add("log-base-whose-offset-wraps", closed("SET_LOG_BASE: dirty log"),
            send([](Guest&) { return log_base(4096, ~std::uint64_t{0} - 100); }, logged), "2020-10722");
  group.add("log-base-beyond-its-file", closed("its file has 0x1000"),
            send([](Guest&) { return log_base(4096, 2048); }, logged));
  group.add("log-base-with-an-offset", closed("the dirty log has 0x800 bytes"),
            send([](Guest&) { return log_base(2048, 2048); }, logged), "2026-86563");
  group.add("log-of-4-bytes", closed("the dirty log has 0x4 bytes"),
            send([](Guest&) { return log_base(4, 0); }, logged));
  group.add("log-of-no-bytes", closed("size is 0"), send([](Guest&) { return log_base(0, 0); }, logged));
}

// A request that has a reply of its own cannot be refused by an acknowledgement: the connection ends.
void add_not_served(Group& group) {
  group.add("log-base-that-was-not-negotiated", closed("SET_LOG_BASE"), send([](Guest&) { return log_base(4096, 0); }));
  group.add("inflight-area-of-no-size", closed("GET_INFLIGHT_FD"), send([](Guest&) {
              return inflight(Request::get_inflight_fd, {0, 0, 0xffff, 0xffff, 0});
            }),
            "2021-3839");
  group.add("inflight-area-of-another-size-than-its-queues", refused("SET_INFLIGHT_FD"), send([](Guest&) {
              return inflight(Request::set_inflight_fd, {4096, 0, 0xffff, 0xffff, 0});
            }),
            "2026-86565");
  group.add(
      "inflight-descriptors-again-and-again", refused("SET_INFLIGHT_FD"),
      [](Attacker& attacker) {
        attacker.guest();
        for (int i = 0; i < 500; ++i) attacker.wrong(inflight(Request::set_inflight_fd, {4096, 0, 2, 64, 0}));
      },
      "2020-10726");
  group.add("crypto-session", closed("CREATE_CRYPTO_SESSION"),
            send([](Guest&) { return of_length(Request::create_crypto_session, 1024); }), "2020-10724");
  group.add("close-of-a-crypto-session", refused("CLOSE_CRYPTO_SESSION"),
            send_number(Request::close_crypto_session, ~std::uint64_t{0}));
  const auto config = [](Request request, std::uint32_t offset, std::uint32_t size) {
    return [=](Guest&) { return make_config_request(request, {offset, size, 0}, std::vector<std::byte>(size)); };
  };
  group.add("config-beyond-its-end", closed("GET_CONFIG"), send(config(Request::get_config, 0xffffff00, 256)));
  group.add("config-write-beyond-its-end", refused("SET_CONFIG"), send(config(Request::set_config, 0xffffffff, 64)));
  group.add("iotlb-update", refused("IOTLB_MSG"), send([](Guest&) {
              return make_request(Request::iotlb_msg, IotlbMessage{0, ~std::uint64_t{0}, 0, 3, 2, {}});
            }));
  group.add("post-copy-advise", closed("POSTCOPY_ADVISE"), send_plain(Request::postcopy_advise));
  group.add("post-copy-listen", refused("POSTCOPY_LISTEN"), send_plain(Request::postcopy_listen));
  group.add("post-copy-end", closed("POSTCOPY_END"), send_plain(Request::postcopy_end));
  group.add("gpu-socket", refused("GPU_SET_SOCKET"),
            send([](Guest&) { return with_fd(make_request(Request::gpu_set_socket), socket_end()); }));
  group.add("endianness", refused("SET_VRING_ENDIAN"), send_state(Request::set_vring_endian, 0, 1));
  group.add("shared-object", closed("GET_SHARED_OBJECT"),
            send([](Guest&) { return make_request(Request::get_shared_object, SharedObject{}); }));
  group.add("device-state", closed("SET_DEVICE_STATE_FD"), send([](Guest&) {
              return with_fd(make_request(Request::set_device_state_fd, DeviceState{1, 0}), broken_pipe());
            }));
  group.add("check-of-device-state", closed("CHECK_DEVICE_STATE"), send_plain(Request::check_device_state));
  group.add("shared-memory-config", closed("GET_SHMEM_CONFIG"), send_plain(Request::get_shmem_config));
}

void add_indices(Group& group) {
  constexpr auto index_error = "expected 0 to 3";
  group.add("vring-index-one-too-many", refused(index_error), send_state(Request::set_vring_num, 4, 64));
  group.add("vring-index-65536", refused(index_error), send_state(Request::set_vring_num, 0x10000, 64), "2020-10723");
  group.add("vring-index-0xffff0001-of-base", refused(index_error), send_state(Request::set_vring_base, 0xffff0001, 0),
            "2020-10723");
  group.add("vring-index-4294967295-of-enable", refused(index_error),
            send_state(Request::set_vring_enable, 0xffffffff, 1));
  group.add("vring-index-70000-of-get-base", closed(index_error), send_state(Request::get_vring_base, 70000, 0));
  group.add("vring-index-257-of-addresses", refused(index_error),
            send([](Guest& guest) { return make_request(Request::set_vring_addr, guest.ring(0).addresses(257)); }));
  group.add("vring-index-255-of-kick", refused(index_error),
            send([](Guest&) { return with_fd(number(Request::set_vring_kick, 255), event_fd()); }));
  group.add("vring-index-in-the-upper-half-of-call", closed("an index in bits 0 to 7"),
            send([](Guest&) { return with_fd(number(Request::set_vring_call, std::uint64_t{1} << 32), event_fd()); }));
  group.add("vring-index-of-err-with-bit-9", closed("an index in bits 0 to 7"),
            send([](Guest&) { return with_fd(number(Request::set_vring_err, 0x200), event_fd()); }));
}

void add_numbers(Group& group) {
  constexpr auto power = "expected a power of two from 1 to 32768";
  group.add("ring-size-0", refused(power), send_state(Request::set_vring_num, 0, 0));
  group.add("ring-size-3", refused(power), send_state(Request::set_vring_num, 0, 3));
  group.add("ring-size-65536", refused(power), send_state(Request::set_vring_num, 0, 65536));
  group.add("ring-size-2-to-the-31", refused(power), send_state(Request::set_vring_num, 0, 0x80000000));
  group.add("ring-base-65536", refused("expected 0 to 0xffff"), send_state(Request::set_vring_base, 0, 65536));
  group.add("enable-2", refused("expected 0 or 1"), send_state(Request::set_vring_enable, 0, 2));
  group.add("features-never-offered", refused("never offered"), send_number(Request::set_features, ~std::uint64_t{0}));
  group.add(
      "packed-ring-while-split-ones-run", refused("while rings run"),
      [](Attacker& attacker) {
        FeatureSet features = attacker.running().features();
        attacker.wrong(number(Request::set_features, features.set(V::ring_packed).bits()));
      },
      "2020-10725");
  group.add("ring-reset-unasked", refused("never offered"),
            send_number(Request::set_features, FeatureSet{V::version_1, V::ring_reset}.bits()));
  group.add("protocol-features-never-offered", refused("never offered"),
            send_number(Request::set_protocol_features, ~std::uint64_t{0}));
  group.add("in-band-notifications-without-what-they-need", refused("INBAND_NOTIFICATIONS needs"),
            send_number(Request::set_protocol_features, ProtocolFeatureSet{P::inband_notifications}.bits()));
  const GuestPlan mtu{.features = {V::net_mtu}, .protocol = {P::mtu}};
  group.add("mtu-0", refused("expected 68 to 65535"), send_number(Request::net_set_mtu, 0, mtu));
  group.add("mtu-67", refused("expected 68 to 65535"), send_number(Request::net_set_mtu, 67, mtu));
  group.add("mtu-2-to-the-63", refused("expected 68 to 65535"),
            send_number(Request::net_set_mtu, std::uint64_t{1} << 63, mtu));
  group.add("status-256", refused("expected 0 to 0xff"),
            send_number(Request::set_status, 256, {.protocol = {P::status}}));
  group.add("refused-five-hundred-times", refused("further refused requests of this connection are not logged"),
            [](Attacker& attacker) {
              attacker.guest();
              for (int i = 0; i < 500; ++i) attacker.wrong(unknown_request(99));
            });
  group.add(
      "ring-set-up-again-and-again", harmless(),
      [](Attacker& attacker) {
        Guest& guest = attacker.guest();
        for (int i = 0; i < 2000; ++i) guest.describe(0, 0);
      },
      "2019-14818");
}

}  // namespace

void add_request_attacks(Attacks& attacks) {
  Group group(attacks, "requests");
  add_logs(group);
  add_not_served(group);
  add_indices(group);
  add_numbers(group);
}

}  // namespace vhostx::hostile
