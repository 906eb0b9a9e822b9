-- The schedule: a sorted set by due time whose members are the bare messages, as Huey 3 reads it.
-- A set holds a member once. Bytes that are scheduled twice get a second place among the copies,
-- behind eight bytes that make them unique.

call('ZCARD', SCHEDULE) -- fails on a wrong type before anything is written

local function file(data, due)
  if call('ZADD', SCHEDULE, 'NX', due, data) == 0 then
    call('ZADD', COPIES, due, struct.pack('>I8', sequence()) .. data)
  end
end

-- Takes one message out, if it is still there under this time. The prefix tells a copy.
local function unfile(prefix, data, due)
  local set = prefix == '' and SCHEDULE or COPIES
  local filed = call('ZSCORE', set, prefix .. data)
  if not filed or tonumber(filed) ~= tonumber(due) then
    return false
  end
  call('ZREM', set, prefix .. data)
  return true
end
