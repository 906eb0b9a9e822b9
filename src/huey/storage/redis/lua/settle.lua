-- Writes what follows from tasks. Each settlement is written whole, and only if its claim is still
-- held; deletions come first. The keys of the claims come first among the undeclared ones.
--
-- Returns one letter for each: d(one), l(ost), c(hord complete, nothing else written).

local holders = {}
for index = 1, tonumber(take()) do
  holders[index] = take_declared()
end
local claims = holders[1]
local outcomes = {}

local function report(outcome)
  outcomes[#outcomes + 1] = outcome
end

local function store_result()
  local key = take_key()
  put_result(key, take())
  tell(key)
end

local actions = {
  delete = function()
    delete(take_key())
  end,
  delete_if = function()
    local key, value = take_key(), take()
    if get(key) == value then
      delete(key)
    end
  end,
  delete_counter = function()
    delete_counter(take_counter())
  end,
  forget = function()
    call('HDEL', MARKS, take())
  end,
  result = store_result,
  outgoing = accept,
  dead = function()
    local letter, died_at = take(), take()
    local key = string.format('%.0f', sequence())
    if died_at == '' then
      died_at = string.format('%.6f', micros() / 1000000)
    end
    call('ZADD', DEAD, died_at, key)
    call('HSET', LETTERS, key, letter)
  end,
}

-- Whether this step completes its chord. A member that reports again is not counted again.
local function completes_chord()
  local partial, counter, value, size = take_key(), take_counter(), take(), tonumber(take())
  local reported = tonumber(get_counter(counter) or 0)
  if not get(partial) then
    put_result(partial, value)
    reported = count(counter, 1)
  end
  return reported >= size
end

local function settle_whole()
  local receipt, last_argument, last_key = take(), tonumber(take()), tonumber(take())
  local in_chord = take() == 'chord'
  local outcome = 'd'
  if receipt ~= '' and call('HEXISTS', claims, receipt) == 0 then
    outcome = 'l'
  elseif in_chord and completes_chord() then
    outcome = 'c'
  else
    if receipt ~= '' then
      call('HDEL', claims, receipt)
    end
    while argument < last_argument do
      actions[take()]()
    end
  end
  argument, declared = last_argument, last_key
  report(outcome)
end

local settlements = {
  -- The usual case in few arguments: a result and nothing else.
  result = function()
    if call('HDEL', claims, take()) == 1 then
      store_result()
      report('d')
    else
      take_key()
      take()
      if notify_ttl ~= '' then
        take_declared()
      end
      report('l')
    end
  end,
  -- Nothing follows.
  none = function()
    report(call('HDEL', claims, take()) == 1 and 'd' or 'l')
  end,
  whole = settle_whole,
  holder = function()
    claims = holders[tonumber(take())]
  end,
}

may_exceed_memory()
while argument < #ARGV do
  settlements[take()]()
end
return table.concat(outcomes)
