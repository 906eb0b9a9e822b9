-- Reads what is due, soonest first, without changing anything.
-- Returns the instant that counted, then for the schedule and for the copies: members and scores,
-- how many are due in all, and the score of the first one after them.

local limit, now = tonumber(take()), take()
if now == '' then
  now = string.format('%.6f', micros() / 1000000)
end

-- In portions, so that large messages do not block the server.
local function read(set)
  local rows, bytes = {}, 0
  while #rows < 2 * limit and bytes < 4000000 do
    local wanted = math.min(limit - #rows / 2, 50)
    local portion =
      call('ZRANGEBYSCORE', set, '-inf', now, 'WITHSCORES', 'LIMIT', #rows / 2, wanted)
    for index = 1, #portion, 2 do
      rows[#rows + 1] = portion[index]
      rows[#rows + 1] = portion[index + 1]
      bytes = bytes + #portion[index]
    end
    if #portion < 2 * wanted then
      break
    end
  end
  local following = call('ZRANGEBYSCORE', set, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return {rows, call('ZCOUNT', set, '-inf', now), following[2] or ''}
end

return {now, read(SCHEDULE), read(COPIES)}
