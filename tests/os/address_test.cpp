#include <doctest/doctest.h>

#include <type_traits>
#include <weir/address.hpp>
#include <weir/flags.hpp>

namespace weir {
namespace {

static_assert(!std::is_convertible_v<std::size_t, Address>, "a size is not an address");
static_assert(!std::is_convertible_v<Address, std::size_t>, "nor the other way");
static_assert(std::is_trivially_copyable_v<Address> && std::is_trivially_copyable_v<Range>);

TEST_CASE("an address is aligned down and up") {
  CHECK(Address(0x1fff).align_down(0x1000) == Address(0x1000));
  CHECK(Address(0x1001).align_up(0x1000) == Address(0x2000));
  CHECK(Address(0x1000).align_down(0x1000) == Address(0x1000));
  CHECK(Address(0x1000).align_up(0x1000) == Address(0x1000));
  CHECK(Address(0x1000).is_aligned(0x1000));
  CHECK_FALSE(Address(0x1008).is_aligned(0x10));
}

TEST_CASE("addresses add, subtract, compare, and become pointers") {
  int values[4] = {};
  const Address first(&values[0]);
  CHECK(first + sizeof(int) == Address(&values[1]));
  CHECK(Address(&values[3]) - first == 3 * sizeof(int));
  CHECK(Address(&values[3]) - 3 * sizeof(int) == first);
  CHECK(first < Address(&values[1]));
  CHECK((first + 2 * sizeof(int)).as<int>() == &values[2]);
}

TEST_CASE("a range is half open") {
  const Range range = Range::between(Address(0x1000), Address(0x3000));
  CHECK(range.size == 0x2000);
  CHECK(range.end() == Address(0x3000));
  CHECK(range.contains(Address(0x1000)));
  CHECK(range.contains(Address(0x2fff)));
  CHECK_FALSE(range.contains(Address(0x3000)));
  CHECK_FALSE(range.contains(Address(0xfff)));
  CHECK_FALSE(Range{}.contains(Address()));
}

TEST_CASE("ranges contain, overlap and intersect") {
  const Range range{Address(0x1000), 0x2000};
  CHECK(range.contains(range));
  CHECK(range.contains(Range{Address(0x2000), 0x1000}));
  CHECK_FALSE(range.contains(Range{Address(0x2000), 0x1001}));
  CHECK(range.overlaps(Range{Address(0x2fff), 0x1000}));
  CHECK_FALSE(range.overlaps(Range{Address(0x3000), 0x1000}));
  CHECK_FALSE(range.overlaps(Range{Address(), 0x1000}));
  CHECK(range.intersection(Range{Address(), 0x1800}) == Range{Address(0x1000), 0x800});
  CHECK(range.intersection(Range{Address(0x2800), 0x9000}) == Range{Address(0x2800), 0x800});
  CHECK(range.intersection(Range{Address(0x3000), 0x1000}).empty());
}

TEST_CASE("a range is aligned when both its ends are") {
  CHECK(Range{Address(0x1000), 0x2000}.is_aligned(0x1000));
  CHECK_FALSE(Range{Address(0x1000), 0x2001}.is_aligned(0x1000));
  CHECK_FALSE(Range{Address(0x1001), 0x2000}.is_aligned(0x1000));
}

TEST_CASE("at the end of the address space nothing wraps around") {
  const Range last{Address(~std::uintptr_t{0} - 0xfff), 0xfff};
  CHECK(last.contains(Address(~std::uintptr_t{0} - 1)));
  CHECK_FALSE(last.contains(Address()));
}

enum class Fruit : std::uint64_t { apple = 1, pear = 4, plum = 1ull << 63 };
enum class Tool : std::uint64_t { saw = 1 };
static_assert(!std::is_convertible_v<Flags<Tool>, Flags<Fruit>>, "sets of two kinds do not mix");
static_assert(!std::is_convertible_v<std::uint64_t, Flags<Fruit>>, "a number is not a set");

TEST_CASE("flags are sets") {
  constexpr Flags<Fruit> both = {Fruit::apple, Fruit::pear};
  static_assert(both.bits() == 5);
  CHECK(both.has(Fruit::pear));
  CHECK_FALSE(both.has(Fruit::plum));
  CHECK(both.has_all(Fruit::apple));
  CHECK_FALSE(both.has_all({Fruit::apple, Fruit::plum}));
  CHECK(both.has_any({Fruit::apple, Fruit::plum}));
  CHECK_FALSE(both.has_any(Fruit::plum));
  CHECK(both.without(Fruit::pear) == Flags<Fruit>(Fruit::apple));
  CHECK((both & Flags<Fruit>(Fruit::plum)).empty());
  Flags<Fruit> all = both;
  all |= Fruit::plum;
  CHECK(all.bits() == (5 | 1ull << 63));
  CHECK(Flags<Fruit>::from_bits(5) == both);
  CHECK(Flags<Fruit>().empty());
  CHECK(both.has_all({}));
}

}  // namespace
}  // namespace weir
