class Bag; end
b = Bag.new
300.times { |i| b.instance_variable_set("@v#{i}", [i]) }
p b.instance_variables.size, b.instance_variable_get("@v123"), b.instance_variable_defined?("@v300")
150.times { |i| b.remove_instance_variable("@v#{i * 2}") }
p b.instance_variables.size, b.instance_variable_get("@v1"), b.instance_variable_get("@v2")
bags = (0...500).map { |i| x = Bag.new; (i % 12).times { |k| x.instance_variable_set("@x#{k}", "#{i}/#{k}") }; x }
p bags[11].instance_variables, bags[499].instance_variable_get("@x3"), bags.map { |x| x.instance_variables.size }.inject(:+)
c = bags[11].dup
bags[11].instance_variable_set(:@x0, :changed)
p c.instance_variable_get(:@x0)
s = "string with iv" rescue nil
h = {a: 1}
h.instance_variable_set(:@note, ["note"])
p h.instance_variable_get(:@note), h
