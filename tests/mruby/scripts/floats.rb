a = (0...2000).map { |i| i / 7.0 }
p a.inject(:+), a.max, a[13], a.map { |x| Math.sqrt(x) }.inject(:+)
p 0.1 + 0.2, 1.0 / 3, 1e20, 1e-5, 1.5e300 * 1e10, -0.0, 100.0, 1.0e7
p (1.0 / 0), (-1.0 / 0), (0.0 / 0).nan?, 3.99.floor, 3.01.ceil, 2.5.round, 3.14159.round(2)
p Math.sin(1), Math::PI, Math.log(10), Math.hypot(3, 4), Math.cbrt(27), 10.0.to_i, 1.23.to_s
p 1 == 1.0, 1.eql?(1.0), 1.5 <=> 2, 7.0 % 2, 2 ** 0.5, 2.0 ** -1
