t = Time.at(0)
p t.utc.year, t.to_i, (Time.at(86_400 * 365).utc.year), Time.gm(2020, 2, 29, 12, 30).to_i
ts = (0...500).map { |i| Time.at(i * 1000) }
p ts.map(&:to_i).inject(:+), ts[1] > ts[0], ts[1] - ts[0], (ts[0] + 60).to_i
r = Random.new(42)
a = (0...5).map { r.rand(100) }
r2 = Random.new(42)
p a == (0...5).map { r2.rand(100) }, r.rand.class
srand(7); x = [rand(1000), rand(1000)]
srand(7)
p x == [rand(1000), rand(1000)], [1, 2, 3].shuffle.sort, [5].sample
300.times { Random.new(1).rand; Time.now.to_f }
p :done
