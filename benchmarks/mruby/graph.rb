# An object graph of 1 GiB (as mruby counts it) that hardly changes, beside short-lived data: how long the
# program has to wait for its collector. A look at the clock after each little piece of the same work.
class Vertex
  attr_accessor :edges, :payload

  def initialize(payload)
    @payload = payload
    @edges = nil
  end
end

mib = Harness.option("mib", 1024)
random = Sequence.new(3)
count = mib * (1 << 20) / 512
vertices = Array.new(count)
count.times do |i|
  vertex = Vertex.new("payload of vertex no. #{i}, which is long enough for memory of its own, as texts are")
  vertex.edges = [vertices[random.below(i + 1)], vertices[random.below(i + 1)], i, random]
  vertices[i] = vertex
end
GC.start
sum = 0
Harness.begin_pauses
Harness.option("rounds", 200_000).times do |round|
  25.times do
    vertex = vertices[random.below(count)]
    near = vertex.edges[random.below(2)] || vertex
    path = [vertex, near, "step #{round}"]
    sum += path[2].size + near.payload.size
  end
  vertices[random.below(count)].edges[2] = [round]
  Harness.look
end
Harness.record([count, sum].inspect)
