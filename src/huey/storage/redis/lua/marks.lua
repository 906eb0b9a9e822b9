-- What is known of a message beyond its bytes: attempts before, crashes, and what caused the last.
-- The name of a message is the digest of its beginning, where its id is: to read a large message to
-- its end would block the server.

local function mark_name(data)
  return redis.sha1hex(sub(data, 1, 4096))
end

local touched

local function seconds()
  touched = touched or string.format('%.0f', micros() / 1000000)
  return touched
end

local function begin_at(data, attempt)
  call('HSET', MARKS, mark_name(data), attempt .. ' 0 0 ' .. seconds() .. ' ')
end

local function mark_crash(data, alone, cause)
  local name = mark_name(data)
  local mark = call('HGET', MARKS, name) or '1 0 0 0 '
  local attempt, single, company = string.match(mark, '^(%d+) (%d+) (%d+) ')
  if alone then
    single = single + 1
  else
    company = company + 1
  end
  mark = string.format('%d %d %d %s %s', attempt, single, company, seconds(), cause)
  call('HSET', MARKS, name, mark)
end
