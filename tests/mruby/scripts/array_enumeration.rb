class Integer
  def even?; self % 2 == 0 end
  def odd?; self % 2 == 1 end
end
a = (1..20).to_a
p a.map { |x| x * x }.select(&:even?).reject { |x| x > 200 }
p a.each_slice(6).to_a, a.each_cons(19).to_a
p a.partition { |x| x % 3 == 0 }, a.group_by { |x| x % 4 }
p a.each_with_index.map { |x, i| x * i }.last(3)
p a.zip(a.reverse).first(3), a.each_with_object([]) { |x, out| out << x.to_s }.join(",")
p a.find { |x| x > 7 }, a.take_while { |x| x < 4 }, a.drop_while { |x| x < 18 }
p a.sort_by { |x| [-x % 5, x] }, a.min_by { |x| (x - 10).abs }, a.inject { |m, x| m * x % 1009 }
p a.all? { |x| x > 0 }, a.any? { |x| x > 19 }, a.none?(&:zero?), a.count(&:odd?)
