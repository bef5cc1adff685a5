r = Rational(3, 4)
p r, r + Rational(1, 4), r * 2, r == Rational(6, 8), r.numerator, r.denominator
c = Complex(1, 2)
p c, c + Complex(0, 1), c * c, c.real, c.imaginary, c.abs
rs = (1..50).map { |i| Rational(1, i) * Rational(i, i + 1) }
p rs.first, rs.last
cs = (1..300).map { |i| Complex(i, -i) * Complex(0, 1) }
p cs.last, cs.map(&:real).inject(:+)
