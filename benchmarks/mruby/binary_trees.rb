# Trees that die young beside one that lives: the Benchmarks Game's program.
class Tree
  attr_reader :left, :right

  def initialize(left, right)
    @left = left
    @right = right
  end

  def count
    @left ? 1 + @left.count + @right.count : 1
  end

  def self.of(depth)
    depth == 0 ? Tree.new(nil, nil) : Tree.new(of(depth - 1), of(depth - 1))
  end
end

most = Harness.option("depth", 14)
sum = Tree.of(most + 1).count
long_lived = Tree.of(most)
4.step(most, 2) do |depth|
  (1 << (most - depth + 4)).times { sum += Tree.of(depth).count }
end
Harness.record(sum + long_lived.count)
