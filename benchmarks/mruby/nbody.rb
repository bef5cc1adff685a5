# Planets. Numbers only: no garbage, and so what a collector costs those who need none.
class Body
  attr_accessor :x, :y, :z, :vx, :vy, :vz
  attr_reader :mass

  def initialize(x, y, z, vx, vy, vz, mass)
    @x, @y, @z, @vx, @vy, @vz, @mass = x, y, z, vx, vy, vz, mass
  end
end

sun_mass = 4 * Math::PI * Math::PI
day = 365.24
bodies = [
  Body.new(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, sun_mass),
  Body.new(4.84143144246472090, -1.16032004402742839, -0.103622044471123109,
           0.00166007664274403694 * day, 0.00769901118419740425 * day,
           -0.0000690460016972063023 * day, 0.000954791938424326609 * sun_mass),
  Body.new(8.34336671824457987, 4.12479856412430479, -0.403523417114321381,
           -0.00276742510726411 * day, 0.00499852801234917238 * day,
           0.0000230417297573763929 * day, 0.000285885980666130812 * sun_mass),
  Body.new(12.8943695621391310, -15.1111514016986312, -0.223307578892655734,
           0.00296460137564761618 * day, 0.00237847173959480950 * day,
           -0.0000296589568540237556 * day, 0.0000436624404335156298 * sun_mass),
  Body.new(15.3796971148509165, -25.9193146099879641, 0.179258772950371181,
           0.00268067772490389322 * day, 0.00162824170038242295 * day,
           -0.0000951592254519715870 * day, 0.0000515138902046611451 * sun_mass)
]

Harness.option("steps", 60_000).times do
  i = 0
  while i < 5
    a = bodies[i]
    j = i + 1
    while j < 5
      b = bodies[j]
      dx = a.x - b.x
      dy = a.y - b.y
      dz = a.z - b.z
      square = dx * dx + dy * dy + dz * dz
      pull = 0.01 / (square * Math.sqrt(square))
      a.vx -= dx * b.mass * pull
      a.vy -= dy * b.mass * pull
      a.vz -= dz * b.mass * pull
      b.vx += dx * a.mass * pull
      b.vy += dy * a.mass * pull
      b.vz += dz * a.mass * pull
      j += 1
    end
    i += 1
  end
  bodies.each do |body|
    body.x += 0.01 * body.vx
    body.y += 0.01 * body.vy
    body.z += 0.01 * body.vz
  end
end
Harness.record(bodies.map { |body| (body.x * 1_000_000).round }.inspect)
