m = (0...30).map { |i| (0...30).map { |j| i * j % 7 } }
t = m.transpose
prod = m.map { |r| t.map { |c| r.zip(c).inject(0) { |s, (a, b)| s + a * b } } }
p prod[3][4], prod.flatten.inject(:+), prod.map(&:max).max
sieve = Array.new(3000, true)
(2..54).each { |i| (i * i).step(2999, i) { |j| sieve[j] = false } if sieve[i] }
p (2...3000).select { |i| sieve[i] }.size
life = (0...20).map { |y| (0...20).map { |x| (x * 7 + y * 3) % 5 == 0 ? 1 : 0 } }
10.times { life = (0...20).map { |y| (0...20).map { |x| n = 0; (-1..1).each { |dy| (-1..1).each { |dx| n += life[(y + dy) % 20][(x + dx) % 20] unless dx == 0 && dy == 0 } }; n == 3 || (n == 2 && life[y][x] == 1) ? 1 : 0 } } }
puts life.map { |r| r.map { |c| c == 1 ? "#" : "." }.join }.first(5)
p life.flatten.inject(:+)
