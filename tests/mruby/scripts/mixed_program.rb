class Account
  attr_reader :id, :balance, :history
  def initialize(id) @id, @balance, @history = id, 0, [] end
  def apply(kind, amount)
    raise ArgumentError, "negative #{amount}" if amount < 0
    raise "insufficient funds in #{@id}" if kind == :out && amount > @balance
    @balance += kind == :in ? amount : -amount
    @history.push([kind, amount])
    @history.shift if @history.size > 8
    self
  end
end
class Bank
  def initialize(n) @accounts = {}; n.times { |i| @accounts["acc#{i}"] = Account.new(i) } end
  def transfer(a, b, amount)
    @accounts[a].apply(:out, amount)
    @accounts[b].apply(:in, amount)
    :ok
  rescue RuntimeError => e
    e.message
  ensure
    @count = (@count || 0) + 1
  end
  attr_reader :count, :accounts
end
bank = Bank.new(50)
bank.accounts.each_value { |a| a.apply(:in, 100) }
seed = 3
results = Hash.new(0)
3000.times do
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
  r = bank.transfer("acc#{(seed >> 4) % 50}", "acc#{(seed >> 12) % 50}", (seed >> 20) % 60)
  results[r.to_s.split(" ").first] += 1
end
p results, bank.count, bank.accounts.values.map(&:balance).inject(:+), bank.accounts["acc7"].history
begin; bank.accounts["acc1"].apply(:in, -5); rescue ArgumentError => e; p e.message; end
