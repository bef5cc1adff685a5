a = (0...300).map { |i| [i % 10, "k#{i % 7}", (i % 3).to_f] }
p a.uniq.size, a.sort.first, a.sort.last, a.map(&:hash).uniq.size == a.uniq.size
p [1, "a", :b, nil, 2.0].map { |x| x.hash == x.dup.hash } rescue p $!.class
p({a: [1, {b: 2}]} == {a: [1, {b: 2}]}, {a: 1}.hash == {a: 1}.hash, [[1], [1]].uniq.size, "a".eql?("a"), "a".equal?("a"))
p a.group_by(&:first).map { |k, v| [k, v.size] }.sort, a.max_by { |x| x[2] * 10 + x[0] }, a.tally.size rescue p $!.class
p [3, 1, 2].sort { |x, y| y <=> x }, [[2, "b"], [1, "z"], [2, "a"]].sort, %w[bb a ccc].sort_by(&:size), [0.1, 1, 0.5].max
begin; [1, "a"].sort; rescue => e; p e.class; end
p (a - a.first(3)).size, (a & a.last(3)).size, (a.first(2) | a.last(2)).size, a.index([1, "k1", 1.0]), a.assoc(5), a.rassoc("k3")
