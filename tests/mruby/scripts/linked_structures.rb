class Node
  attr_accessor :value, :left, :right
  def initialize(v) @value = v end
  def insert(v) v < @value ? (@left ? @left.insert(v) : @left = Node.new(v)) : (@right ? @right.insert(v) : @right = Node.new(v)) end
  def each(&b) @left.each(&b) if @left; b.call(@value); @right.each(&b) if @right end
  def depth; 1 + [@left ? @left.depth : 0, @right ? @right.depth : 0].max end
end
seed = 7
root = Node.new(5000)
1500.times { seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648; root.insert(seed % 10_000) }
a = []
root.each { |v| a << v }
p a.size, a == a.sort, a.first, a.last, root.depth
list = nil
3000.times { |i| list = [i, list] }
n = 0
(n += list[0]; list = list[1]) while list
p n
ring = (0...100).map { |i| {id: i} }
ring.each_with_index { |h, i| h[:next] = ring[(i + 1) % 100]; h[:prev] = ring[i - 1] }
x = ring[0]
1234.times { x = x[:next] }
p x[:id], x[:prev][:id]
