# Havlak's way of finding the loops of control flow graphs, nested and irreducible ones too: sets, lists
# and union-find over blocks of code, for graphs that are made here.
class Block
  attr_reader :id, :into, :from

  def initialize(id)
    @id = id
    @into = []
    @from = []
  end
end

class Graph
  attr_reader :blocks

  def initialize; @blocks = [] end

  def block
    @blocks << Block.new(@blocks.size)
    @blocks.last
  end

  def edge(a, b)
    a.into << b
    b.from << a
    b
  end

  def straight(from, n)
    n.times { from = edge(from, block) }
    from
  end

  def diamond(from)
    left = edge(from, block)
    right = edge(from, block)
    join = block
    edge(left, join)
    edge(right, join)
  end

  # A loop around loops.
  def nest(from, depth)
    head = straight(from, 1)
    at = depth == 0 ? diamond(head) : nest(nest(head, depth - 1), depth - 1)
    at = straight(at, 1)
    edge(at, head)
    straight(at, 1)
  end
end

class Loop
  attr_accessor :parent, :head, :reducible
  attr_reader :blocks, :children

  def initialize
    @blocks = []
    @children = []
    @reducible = true
  end

  def depth; @parent ? @parent.depth + 1 : 0 end
end

class UnionNode
  attr_accessor :parent, :loop
  attr_reader :block, :number

  def initialize(block, number)
    @block = block
    @number = number
    @parent = self
  end

  def find
    path = []
    node = self
    while node.parent != node
      path << node if node.parent != node.parent.parent
      node = node.parent
    end
    path.each { |passed| passed.parent = node }
    node
  end
end

class Finder
  def initialize(graph) @graph = graph end

  def loops
    number(@graph.blocks[0])
    classify
    @headers = Array.new(@nodes.size, 0)
    @kinds = Array.new(@nodes.size, :plain)
    found = []
    (@nodes.size - 1).downto(0) do |w|
      pool = []
      kind = :reducible
      @back[w].each { |v| v == w ? @kinds[w] = :self : pool << @nodes[v].find }
      work = pool.dup
      while (x = work.pop)
        @other[x.number].each do |y|
          reached = @nodes[y].find
          if !ancestor?(w, reached.number)
            kind = :irreducible
            @other[w] << reached.number
          elsif reached.number != w && !pool.include?(reached)
            work << reached
            pool << reached
          end
        end
      end
      next if pool.empty? && @kinds[w] != :self
      made = Loop.new
      made.head = @nodes[w].block
      made.reducible = kind == :reducible
      @nodes[w].loop = made
      pool.each do |node|
        @headers[node.number] = w
        node.parent = @nodes[w]
        if node.loop
          node.loop.parent = made
          made.children << node.loop
        else
          made.blocks << node.block
        end
      end
      found << made
    end
    found
  end

  private

  def ancestor?(w, v) w <= v && v <= @last[w] end

  # In the order of a depth-first walk; without recursion, since mruby's is shallow.
  def number(root)
    @numbers = {}
    @nodes = []
    @last = []
    stack = [[root, 0]]
    enter(root)
    until stack.empty?
      block, at = stack.last
      if at < block.into.size
        stack.last[1] += 1
        target = block.into[at]
        next if @numbers.key?(target.id)
        enter(target)
        stack << [target, 0]
      else
        @last[@numbers[block.id]] = @nodes.size - 1
        stack.pop
      end
    end
  end

  def enter(block)
    @numbers[block.id] = @nodes.size
    @nodes << UnionNode.new(block, @nodes.size)
  end

  def classify
    @back = Array.new(@nodes.size) { [] }
    @other = Array.new(@nodes.size) { [] }
    @nodes.each do |node|
      node.block.from.each do |from|
        v = @numbers[from.id]
        next unless v
        ancestor?(node.number, v) ? @back[node.number] << v : @other[node.number] << v
      end
    end
  end
end

graph = Graph.new
at = graph.block
Harness.option("nests", 12).times { at = graph.straight(graph.nest(at, 5), 2) }
crossing = graph.diamond(at)
graph.edge(graph.blocks[-2], crossing)
graph.edge(crossing, graph.blocks[-3])
sum = 0
Harness.option("runs", 16).times do
  loops = Finder.new(graph).loops
  sum += loops.inject(0) { |s, l| s + l.depth * 10 + l.blocks.size } + loops.count { |l| !l.reducible }
  sum += loops.size
end
Harness.record([graph.blocks.size, sum].inspect)
