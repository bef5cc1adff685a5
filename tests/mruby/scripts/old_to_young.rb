keep = Array.new(200) { |i| [i] }
class Holder; attr_accessor :ref, :table end
holders = Array.new(200) { h = Holder.new; h.table = {}; h }
10.times do |round|
  garbage = Array.new(500) { |i| "g#{i}" * 3 }
  200.times do |i|
    keep[i] << "r#{round}-#{i}"
    holders[i].ref = [round, i.to_s]
    holders[i].table["k#{round}"] = [garbage[i]]
    holders[i].instance_variable_set("@v#{round}", "iv#{i}")
  end
end
p keep[7], holders[7].ref, holders[199].table.size, holders[3].table["k9"], holders[5].instance_variables.size
p keep.map(&:size).uniq, holders.map { |h| h.ref[1].to_i }.inject(:+), holders[9].instance_variable_get("@v4")
