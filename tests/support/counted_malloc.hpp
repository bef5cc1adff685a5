// Counts the program's allocations, by taking the place of malloc: for a program of its own,
// without mimalloc and sanitizers. Included by one file.
#pragma once

#include <cerrno>
#include <cstddef>

extern "C" {
// NOLINTBEGIN(readability-identifier-naming): the C library's
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
// NOLINTEND(readability-identifier-naming)

static std::size_t allocations = 0;

void* malloc(std::size_t size) {
  return ++allocations, __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) {
  return ++allocations, __libc_calloc(n, size);
}
void* realloc(void* p, std::size_t size) {
  return ++allocations, __libc_realloc(p, size);
}
void* memalign(std::size_t to, std::size_t size) {
  return ++allocations, __libc_memalign(to, size);
}
void* aligned_alloc(std::size_t to, std::size_t size) {
  return memalign(to, size);
}
int posix_memalign(void** p, std::size_t to, std::size_t size) {
  *p = memalign(to, size);
  return *p != nullptr ? 0 : ENOMEM;
}
}
