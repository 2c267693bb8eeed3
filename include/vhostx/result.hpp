// SPDX-License-Identifier: BSD-3-Clause
// Result<T>: a value or an Error. Functions of vhostx that can fail return it (std::expected is C++23). Only
// std::bad_alloc can leave a function of the library, and only one that is not noexcept.
#pragma once

#include <cassert>
#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <vhostx/cxx20.hpp>

namespace vhostx {

/// Kind of an error. The message with it says what exactly was wrong and what was expected.
enum class ErrorCode {
  invalid_argument,    ///< A value from the caller is out of range or contradicts another one.
  unsupported,         ///< The library, the build or the machine cannot do this.
  busy,                ///< It is in use, e.g. a process listens on the same path.
  limit,               ///< A configured or built-in bound would be exceeded.
  out_of_memory,       ///< An allocation failed.
  system,              ///< A system call failed: see `system_errno`.
  protocol_violation,  ///< The peer broke the vhost-user or VIRTIO specification.
  closed,              ///< The peer is gone.
  timed_out,           ///< The peer did not answer in time.
};

/// Name of a code in logs and JSON, e.g. "protocol_violation"; "unknown" for other values.
constexpr const char* to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::busy:
      return "busy";
    case ErrorCode::limit:
      return "limit";
    case ErrorCode::out_of_memory:
      return "out_of_memory";
    case ErrorCode::system:
      return "system";
    case ErrorCode::protocol_violation:
      return "protocol_violation";
    case ErrorCode::closed:
      return "closed";
    case ErrorCode::timed_out:
      return "timed_out";
  }
  return "unknown";
}

/// An error: a code for programs, a message for people.
struct Error {
  ErrorCode code = ErrorCode::invalid_argument;  ///< Kind of the error.
  std::string message;                           ///< What was wrong and what was expected, without a full stop. Empty
                                                 ///< if there was no memory for it.
  int system_errno = 0;                          ///< errno if `code` is `system`, else 0.
};

/// A pointer, or a smart pointer such as std::unique_ptr and std::shared_ptr.
template <typename T>
concept PointerLike = std::is_pointer_v<T> || requires(const T& pointer) {
  typename T::element_type;
  { pointer.operator->() } -> std::same_as<typename T::element_type*>;
};

/// A value of type T, or the Error that explains why there is none. Reading the one that is absent is a programming
/// error (asserted).
///
/// If the value is a pointer or a smart pointer, `->` reaches the members of what it points to, and `*` is still the
/// pointer itself:
///
///     auto port = backend->open_port(options);  // backend: Result<std::unique_ptr<Backend>>
///     if (!port) return fail(port.error());
///     ports.push_back(*std::move(port));        // a std::unique_ptr<Port>
template <typename T>
class [[nodiscard]] Result {
 public:
  /// Success.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  /// Failure.
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  /// Whether there is a value.
  bool ok() const noexcept { return state_.index() == 0; }
  /// As ok().
  explicit operator bool() const noexcept { return ok(); }

  /// The value.
  T& value() & noexcept { return *checked<0>(&state_); }
  /// The value.
  const T& value() const& noexcept { return *checked<0>(&state_); }
  /// The value.
  T&& value() && noexcept { return std::move(*checked<0>(&state_)); }
  /// Members of the value; if it is a pointer or a smart pointer, members of what it points to.
  decltype(auto) operator->() noexcept { return arrow(value()); }
  /// The same of a constant Result: the value is constant, what a pointer points to is not.
  decltype(auto) operator->() const noexcept { return arrow(value()); }
  /// The value.
  T& operator*() & noexcept { return value(); }
  /// The value.
  const T& operator*() const& noexcept { return value(); }
  /// The value.
  T&& operator*() && noexcept { return std::move(*this).value(); }

  /// The error.
  const Error& error() const& noexcept { return *checked<1>(&state_); }
  /// The error.
  Error&& error() && noexcept { return std::move(*checked<1>(&state_)); }

 private:
  // The language applies the -> of a class that operator->() returns.
  template <typename V>
  static decltype(auto) arrow(V& value) noexcept {
    if constexpr (std::is_pointer_v<T>)
      return V(value);
    else if constexpr (PointerLike<T>)
      return (value);
    else
      return &value;
  }
  template <std::size_t I, typename V>
  static auto* checked(V* state) noexcept {
    auto* held = std::get_if<I>(state);
    assert(held != nullptr);
    return held;
  }

  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  /// Success.
  Result() = default;
  /// Failure.
  Result(Error error) : state_(std::move(error)) {}

  /// Whether it is a success.
  bool ok() const noexcept { return state_.index() == 0; }
  /// As ok().
  explicit operator bool() const noexcept { return ok(); }
  /// The error.
  const Error& error() const& noexcept {
    assert(!ok());
    return *std::get_if<Error>(&state_);
  }
  /// The error.
  Error&& error() && noexcept {
    assert(!ok());
    return std::move(*std::get_if<Error>(&state_));
  }

 private:
  std::variant<std::monostate, Error> state_;
};

}  // namespace vhostx
