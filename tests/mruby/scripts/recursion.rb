def ack(m, n) m == 0 ? n + 1 : n == 0 ? ack(m - 1, 1) : ack(m - 1, ack(m, n - 1)) end
p ack(2, 5)
def depth(n) n == 0 ? [0] : depth(n - 1) << n end
p depth(150).size
def hanoi(n, a, b, c, out) return out if n == 0; hanoi(n - 1, a, c, b, out); out << [a, b]; hanoi(n - 1, c, b, a, out) end
p hanoi(10, :a, :b, :c, []).size
def perms(a) a.size < 2 ? [a] : a.flat_map { |x| perms(a - [x]).map { |q| [x] + q } } end
p perms([1, 2, 3, 4, 5]).size, perms(%w[a b c]).map(&:join)
def tak(x, y, z) y >= x ? z : tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y)) end
p tak(10, 5, 2)
