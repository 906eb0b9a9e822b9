-- Gives some of what a consumer holds back to the front, the last claimed first. Whoever died leaves
-- a crash mark on each message it had seen. Returns how many were given back; 0: nothing is left.

local marks, cause, limit = take(), take(), tonumber(take())
may_exceed_memory()
local count = empty_inbox()
local receipts = call('HKEYS', CLAIMS)
table.sort(receipts, function(left, right)
  return tonumber(left) > tonumber(right)
end)
local alone = call('HGET', TURNS, 'held') == '1'
for index = 1, math.min(limit, #receipts) do
  local kept = call('HGET', CLAIMS, receipts[index])
  call('HDEL', CLAIMS, receipts[index])
  if marks == 'crash' then
    mark_crash(data_of(kept), alone, cause)
  end
  push_kept(kept)
  count = count + 1
end
return count
