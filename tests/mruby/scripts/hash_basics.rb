h = {a: 1, "b" => 2, 3 => [4], nil => 5, 1.5 => :f}
p h, h[:a], h["b"], h[3], h[nil], h[1.5], h[:none], h.fetch(:a), h.key(2), h.size
begin; h.fetch(:nope); rescue KeyError => e; p e.class; end
p h.keys, h.values, h.to_a, h.invert, h.key?(3), h.value?(5)
h.delete("b"); h[:z] = {deep: {deeper: [1, {x: 2}]}}
p h, h[:z][:deep][:deeper][1][:x]
p h.map { |k, v| [k, v] }.size, h.select { |k, _| k }.size, h.reject { |_, v| v == 1 }.size
p h.merge({a: 9, q: 8}) { |k, o, n| [k, o, n] }, h.sort_by { |k, _| k.to_s }.first
