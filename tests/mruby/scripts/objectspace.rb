class Marker; attr_accessor :n end
kept = (0...50).map { |i| m = Marker.new; m.n = i; m }
n = 0
ObjectSpace.each_object(Marker) { |m| n += m.n }
p n >= 1225
counts = ObjectSpace.count_objects
p counts[:TOTAL] > 500, counts[:T_OBJECT] >= 50, counts[:T_STRING] > 0, counts[:T_CLASS] > 20
found = []
ObjectSpace.each_object(Class) { |c| found << c if c == Marker }
p found.size
seen = 0
ObjectSpace.each_object(Marker) { |m| seen += 1; x = [m, "garbage" * 5]; m.n = x.size }
p seen >= 50, kept.map(&:n).uniq
ObjectSpace.each_object(String) { |s| break }
p kept.size
