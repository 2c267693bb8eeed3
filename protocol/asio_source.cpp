// SPDX-License-Identifier: BSD-3-Clause
// Asio's own code, compiled once instead of in each source file that includes it (ASIO_SEPARATE_COMPILATION).
#include <cstdlib>  // first, as everywhere: Asio's configuration looks at what the C++ library has said

#include <asio/impl/src.hpp>
