f = Fiber.new do |x|
  y = Fiber.yield(x * 2)
  z = Fiber.yield(y + 1)
  "end #{z}"
end
p f.resume(5), f.resume(10), f.resume(:z), f.alive?
begin; f.resume; rescue FiberError => e; puts e.message; end
gens = (0...50).map { |i| Fiber.new { n = i; loop { Fiber.yield [n, "s#{n}"]; n += 50 } } }
sum = 0
20.times { gens.each { |g| sum += g.resume[0] } }
p sum, gens[7].resume
fib = Fiber.new { a, b = 0, 1; loop { Fiber.yield a; a, b = b, a + b } }
p (0...30).map { fib.resume }.last
gens = nil
200.times { |i| g = Fiber.new { Fiber.yield i; Fiber.yield [i] }; g.resume }
def dig(n) n == 0 ? Fiber.yield(:bottom) : [dig(n - 1)].first end
deep = Fiber.new { dig(50); :out }
p deep.resume, deep.resume
f = Fiber.new { raise "inside" }
begin; f.resume; rescue => e; p e.message; end
p Fiber.new { |a, *b| [a, b] }.resume(1, 2, 3)
