class LRU
  def initialize(n) @n = n; @h = {} end
  def get(k) return nil unless @h.key?(k); v = @h.delete(k); @h[k] = v end
  def put(k, v) @h.delete(k); @h[k] = v; @h.shift if @h.size > @n end
  def size; @h.size end
end
c = LRU.new(100)
hits = 0
seed = 1
6000.times do |i|
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
  k = "k#{(seed >> 8) % 160}"
  if v = c.get(k) then hits += 1; v << i if v.size < 5 else c.put(k, [k, i]) end
end
p hits, c.size
