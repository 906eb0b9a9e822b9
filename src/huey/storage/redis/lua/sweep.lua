-- Removes some of what nobody needs any more: dead letters beyond a count or an age, marks that were
-- not touched for long, expired values, and places at results of waiters that are gone.
-- Returns how many entries were removed, and where to go on among the marks and the waiters.

local max_dead, max_dead_age, max_mark_age = tonumber(take()), tonumber(take()), tonumber(take())
local mark_cursor, wait_cursor = take(), take()
local now = micros() / 1000000

local function delete_letters(keys)
  for _, key in ipairs(keys) do
    call('HDEL', LETTERS, key)
    call('ZREM', DEAD, key)
  end
  return #keys
end

local function sweep_marks()
  local portion = call('HSCAN', MARKS, mark_cursor, 'COUNT', 200)
  mark_cursor = portion[1]
  local removed = 0
  for index = 1, #portion[2], 2 do
    local touched = string.match(portion[2][index + 1], '^%d+ %d+ %d+ (%d+) ')
    if tonumber(touched) < now - max_mark_age then
      removed = removed + call('HDEL', MARKS, portion[2][index])
    end
  end
  return removed
end

local function sweep_waiters()
  local portion = call('HSCAN', WAITS, wait_cursor, 'COUNT', 200)
  wait_cursor = portion[1]
  local removed = 0
  for index = 1, #portion[2], 2 do
    local left = ''
    for list, ends in string.gmatch(portion[2][index + 1], '([^\n]+) (%d+)\n') do
      if tonumber(ends) > now then
        left = left .. list .. ' ' .. ends .. '\n'
      end
    end
    if left == '' then
      removed = removed + call('HDEL', WAITS, portion[2][index])
    elseif left ~= portion[2][index + 1] then
      call('HSET', WAITS, portion[2][index], left)
    end
  end
  return removed
end

may_exceed_memory()
local surplus = math.min(call('ZCARD', DEAD) - max_dead, 200)
local removed = 0
if surplus > 0 then
  removed = delete_letters(call('ZRANGE', DEAD, 0, surplus - 1))
end
local old = call('ZRANGEBYSCORE', DEAD, '-inf', '(' .. now - max_dead_age, 'LIMIT', 0, 200)
removed = removed + delete_letters(old) + sweep_marks() + sweep_waiters() + purge()
call('ZREMRANGEBYSCORE', GONE, '-inf', now - 3600)
call('ZREMRANGEBYRANK', GONE, 0, -1001)
return {removed, mark_cursor, wait_cursor}
