-- Reads one portion of the schedule and returns what we have not filed ourselves, and where to go on.
-- Our own scores lie half a microsecond before a whole one; those of Huey 3 are whole.

local portion = call('ZSCAN', SCHEDULE, take(), 'COUNT', take())
local foreign = {}
for index = 1, #portion[2], 2 do
  local score = tonumber(portion[2][index + 1])
  local micros = (score - math.floor(score)) * 1000000
  if math.abs(micros - math.floor(micros + 0.5)) < 0.25 then
    foreign[#foreign + 1] = portion[2][index]
    foreign[#foreign + 1] = portion[2][index + 1]
  end
end
return {portion[1], foreign}
