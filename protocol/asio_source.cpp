// SPDX-License-Identifier: BSD-3-Clause
// Asio's own code, compiled once instead of in each source file that includes it (ASIO_SEPARATE_COMPILATION).
#include <asio/impl/src.hpp>
