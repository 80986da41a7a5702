-- KEYS: record, waiting, due, the lanes.
-- Answers how many events the topic has, how many are not due, bytes, the numbers of the oldest and of the last that was stored, the times of both in
-- milliseconds, and how many were stored in the last minute.
local record = call('HMGET', KEYS[1], 'bytes', 'sequence')
local last = tonumber(record[2] or 0)
local messages, first, from, to, minute = 0, 0, 0, 0, 0
local since = number(clock() - 60000)
local recent
for i = 4, #KEYS do
  local n = call('XLEN', KEYS[i])
  messages = messages + n
  if n > 0 then
    local at, id = sequence(KEYS[i], '-')
    if at and (first == 0 or at < first) then first = at end
    local ms = tonumber(string.match(call('XRANGE', KEYS[i], '-', '+', 'COUNT', 1)[1][1], '%d+'))
    if from == 0 or ms < from then from = ms end
    local lately = sequence(KEYS[i], since)
    if lately and (not recent or lately < recent) then recent = lately end
  end
  local about = redis.pcall('XINFO', 'STREAM', KEYS[i])
  for j = 1, #about, 2 do
    if about[j] == 'last-generated-id' then to = math.max(to, tonumber(string.match(about[j + 1], '%d+'))) end
  end
end
if recent and last - recent >= 5000 then
  minute = last - recent + 1 -- to count them would hold the server up
else
  for i = 4, #KEYS do minute = minute + #call('XRANGE', KEYS[i], since, '+', 'COUNT', 5000) end
end
return { messages, call('ZCARD', KEYS[3]), tonumber(record[1] or 0), first, last, from, to, minute }
