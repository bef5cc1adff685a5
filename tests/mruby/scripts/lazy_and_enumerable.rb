class Integer
  def even?; self % 2 == 0 end
  def odd?; self % 2 == 1 end
end
class Tree
  include Enumerable
  def initialize(*v) @v = v end
  def each; @v.each { |x| x.is_a?(Tree) ? x.each { |y| yield y } : yield(x) }; self end
end
t = Tree.new(3, Tree.new(1, Tree.new(4)), Tree.new(), 1, Tree.new(5, 9, 2, 6))
p t.to_a, t.sort, t.map { |x| x * 2 }, t.include?(9), t.inject(:+), t.min, t.max, t.first(3), t.each_slice(3).to_a
p t.select(&:odd?), t.partition { |x| x > 3 }, t.sort_by { |x| -x }, t.each_with_index.to_a.last, t.reduce(1) { |m, x| m * x }, t.zip(t.map(&:to_s)).first(2)
p t.group_by(&:odd?), t.count, t.entries.size, t.each_cons(2).map { |a, b| b - a }, t.to_set.size rescue p :noset
big = Tree.new(*(0...200).map { |i| Tree.new(i, i + 1) })
p big.count, big.uniq.size, big.lazy.map { |x| x * 3 }.reject(&:even?).first(5)
p (1..20).lazy.select(&:even?).map { |x| x ** 2 }.to_a, (1..3).cycle.first(7), [1, 2, 3].cycle(2).to_a
p (1..10).chunk { |x| x.even? }.first(2), (1..10).slice_when { |a, b| b % 4 == 0 }.to_a rescue p $!.class
p [1, 2, 4].sum, [[1, 2], [3]].sum([]), %w[a b].each_with_index.to_h, (1..4).flat_map { |x| [x] * x } rescue p $!.class
