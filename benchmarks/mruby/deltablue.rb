# An incremental solver of constraints with strengths, as Freeman-Benson and Maloney's DeltaBlue: a chain
# of equalities, and a projection with scales and offsets, edited again and again.
REQUIRED, STRONG, PREFERRED, NORMAL, WEAK = 0, 1, 2, 3, 5
WEAKEST = 6

class Variable
  attr_accessor :value, :constraints, :determined_by, :strength, :stay, :mark

  def initialize(value)
    @value = value
    @constraints = []
    @determined_by = nil
    @strength = WEAKEST
    @stay = true
    @mark = 0
  end
end

class Constraint
  attr_reader :strength

  def add_to(planner)
    variables.each { |v| v.constraints << self }
    unchoose
    planner.add(self)
    self
  end

  def remove_from(planner)
    if satisfied?
      planner.remove(self)
    else
      variables.each { |v| v.constraints.delete(self) }
    end
  end

  def satisfy(mark, planner)
    choose(mark)
    unless satisfied?
      raise "a required constraint cannot be satisfied" if @strength == REQUIRED
      return nil
    end
    inputs.each { |v| v.mark = mark }
    overridden = output.determined_by
    overridden.unchoose if overridden
    output.determined_by = self
    raise "cycle" unless planner.propagate(self, mark)
    output.mark = mark
    overridden
  end

  def known_inputs?(mark)
    inputs.all? { |v| v.mark == mark || v.stay || v.determined_by.nil? }
  end

  def recalculate
    output.strength = [@strength, weakest_input].max
    output.stay = keeps_its_value?
    execute if output.stay
  end

  def weakest_input; inputs.map(&:strength).max || REQUIRED end
  def keeps_its_value?; inputs.all?(&:stay) end
  def input?; false end
end

class Unary < Constraint
  def initialize(variable, strength)
    @variable = variable
    @strength = strength
    @satisfied = false
  end

  def variables; [@variable] end
  def inputs; [] end
  def output; @variable end
  def satisfied?; @satisfied end
  def unchoose; @satisfied = false end
  def choose(mark) @satisfied = @variable.mark != mark && @strength < @variable.strength end
  def recalculate
    @variable.strength = @strength
    @variable.stay = !input?
    execute if @variable.stay
  end
end

class Stay < Unary
  def execute; end
end

class Edit < Unary
  def input?; true end
  def execute; end
end

class Binary < Constraint
  def initialize(a, b, strength)
    @a, @b, @strength = a, b, strength
    @direction = nil
  end

  def variables; [@a, @b] end
  def satisfied?; !@direction.nil? end
  def unchoose; @direction = nil end
  def inputs; [@direction == :forward ? @a : @b] end
  def output; @direction == :forward ? @b : @a end

  def choose(mark)
    @direction =
      if @a.mark == mark
        @b.mark != mark && @strength < @b.strength ? :forward : nil
      elsif @b.mark == mark
        @strength < @a.strength ? :backward : nil
      elsif @a.strength > @b.strength
        @strength < @a.strength ? :backward : nil
      else
        @strength < @b.strength ? :forward : nil
      end
  end
end

class Equal < Binary
  def execute; output.value = inputs[0].value end
end

class Scale < Binary
  def initialize(from, scale, offset, to, strength)
    super(from, to, strength)
    @scale, @offset = scale, offset
  end

  def variables; [@a, @b, @scale, @offset] end
  def inputs; [@direction == :forward ? @a : @b, @scale, @offset] end

  def execute
    if @direction == :forward
      @b.value = @a.value * @scale.value + @offset.value
    else
      @a.value = (@b.value - @offset.value) / @scale.value
    end
  end
end

class Planner
  def initialize; @mark = 0 end
  def new_mark; @mark += 1 end

  def add(constraint)
    mark = new_mark
    overridden = constraint.satisfy(mark, self)
    overridden = overridden.satisfy(mark, self) while overridden
  end

  def remove(constraint)
    out = constraint.output
    constraint.unchoose
    constraint.variables.each { |v| v.constraints.delete(constraint) }
    out.determined_by = nil
    out.strength = WEAKEST
    out.stay = true
    unsatisfied = []
    todo = [out]
    while (v = todo.pop)
      v.constraints.each { |c| unsatisfied << c unless c.satisfied? }
      consuming(v) do |c|
        c.recalculate
        todo << c.output
      end
    end
    [REQUIRED, STRONG, PREFERRED, NORMAL, WEAK].each do |strength|
      unsatisfied.each { |c| add(c) if c.strength == strength && !c.satisfied? }
    end
  end

  def propagate(constraint, mark)
    todo = [constraint]
    while (c = todo.pop)
      return false if c.output.mark == mark && c != constraint
      c.recalculate
      consuming(c.output) { |next_one| todo << next_one }
    end
    true
  end

  # The constraints to execute, in order, when these edits change.
  def plan(edits)
    mark = new_mark
    made = []
    todo = edits.select { |c| c.input? && c.satisfied? }
    while (c = todo.pop)
      next if c.output.mark == mark || !c.known_inputs?(mark)
      made << c
      c.output.mark = mark
      consuming(c.output) { |next_one| todo << next_one }
    end
    made
  end

  def consuming(variable)
    determining = variable.determined_by
    variable.constraints.each { |c| yield c if c != determining && c.satisfied? }
  end
end

def change(planner, variable, values)
  edit = Edit.new(variable, PREFERRED).add_to(planner)
  plan = planner.plan([edit])
  values.times do |i|
    variable.value = i
    plan.each { |c| c.execute }
  end
  edit.remove_from(planner)
end

def chain(n)
  planner = Planner.new
  variables = Array.new(n + 1) { Variable.new(0) }
  n.times { |i| Equal.new(variables[i], variables[i + 1], REQUIRED).add_to(planner) }
  Stay.new(variables[n], STRONG + 2).add_to(planner)
  change(planner, variables[0], 30)
  raise "chain: #{variables[n].value}" unless variables[n].value == 29
  variables[n].value
end

def projection(n)
  planner = Planner.new
  scale = Variable.new(10)
  offset = Variable.new(1000)
  pairs = (0...n).map do |i|
    from = Variable.new(i)
    to = Variable.new(i)
    Stay.new(from, NORMAL).add_to(planner)
    Scale.new(from, scale, offset, to, REQUIRED).add_to(planner)
    [from, to]
  end
  change(planner, pairs[0][0], 18)
  raise "from" unless pairs[0][1].value == 1170
  change(planner, scale, 6)
  pairs.each { |from, to| raise "scale" unless to.value == from.value * 5 + 1000 }
  change(planner, offset, 21)
  pairs.each { |from, to| raise "offset" unless to.value == from.value * 5 + 20 }
  pairs.inject(0) { |sum, (_, to)| sum + to.value }
end

sum = 0
Harness.option("runs", 12).times { |i| sum += chain(1200 + i) + projection(600 + i) }
Harness.record(sum)
