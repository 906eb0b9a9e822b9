-- Moves up to a number of messages from ready to claimed, and tells which.
--
-- A consumer numbers its calls and says which was the last whose reply it has seen. If another one
-- has claimed messages since, its reply was lost: they are told again, and nothing is claimed. A
-- call that was overtaken by a later one does nothing.
--
-- Returns the number of the call that claimed, the first receipt, the messages as they are kept, and
-- their marks if there are any at all; nil for a consumer that is not known (it was declared dead).

local consumer, nonce = take(), take()
local turn, seen, limit = tonumber(take()), tonumber(take()), tonumber(take())

local function with_marks(taken)
  if call('HLEN', MARKS) == 0 then
    return {}
  end
  local names = {}
  for index, kept in ipairs(taken) do
    names[index] = kept and mark_name(data_of(kept)) or ''
  end
  return call('HMGET', MARKS, unpack(names))
end

local function told(number, first, taken)
  return {number, string.format('%.0f', first), taken, with_marks(taken)}
end

may_exceed_memory()
if call('HEXISTS', BEATS, consumer) == 0 then
  empty_inbox()
  return false
end

local record = call('HGET', TURNS, nonce)
if record then
  local last, first, count = string.match(record, '^(%d+) (%d+) (%d+)$')
  last, first, count = tonumber(last), tonumber(first), tonumber(count)
  if last > turn then
    return {last, '0', {}, {}}
  elseif last ~= seen then
    local receipts = {}
    for number = first, first + count - 1 do
      receipts[#receipts + 1] = string.format('%.0f', number)
    end
    return told(last, first, call('HMGET', CLAIMS, unpack(receipts)))
  end
end

-- In portions, so that large messages do not block the server: what is left waits for another call.
local taken, bytes = {}, 0
while #taken < limit and bytes < 4000000 do
  local portion = pop(math.min(limit - #taken, 50))
  for _, kept in ipairs(portion) do
    taken[#taken + 1] = kept
    bytes = bytes + #kept
  end
  if #portion == 0 then
    break
  end
end
if #taken == 0 then
  return {turn, '0', {}, {}}
end

local first = reserve(#taken)
local fields = {}
for index, kept in ipairs(taken) do
  fields[#fields + 1] = string.format('%.0f', first + index - 1)
  fields[#fields + 1] = kept
end
call('HSET', CLAIMS, unpack(fields))
call('HSET', TURNS, nonce, string.format('%d %.0f %d', turn, first, #taken))
return told(turn, first, taken)
