class Integer
  def even?; self % 2 == 0 end
  def odd?; self % 2 == 1 end
end
h = {}
100.times { |i| h[i] = i.to_s }
h.each { |k, v| h[k] = v + "!" }
p h[0], h[99]
h.keys.each { |k| h.delete(k) if k.odd? }
p h.size, h.keys.first(5)
h.select! { |k, _| k < 20 } if h.respond_to?(:select!)
p h.select { |k, _| k < 20 }.keys
copy = h.dup
h[0] = nil
p copy[0], h[0], copy == h, copy.eql?(copy.dup)
p h.shift, h.size
