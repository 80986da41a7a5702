-- KEYS: record, waiting, group, members, the lanes. ARGV: group.
-- Answers its mode, how much it has to do and how much of that was delivered, the time of the oldest in milliseconds, or 0, and its members, of an
-- ordered group.
local group = ARGV[1]
local lag, held, oldest = 0, 0, 0
local function old(id)
  local ms = tonumber(string.match(id, '%d+'))
  if oldest == 0 or ms < oldest then oldest = ms end
end
for i = 5, #KEYS do
  local groups = redis.pcall('XINFO', 'GROUPS', KEYS[i])
  for _, g in ipairs(groups.err and {} or groups) do
    local is = {}
    for j = 1, #g, 2 do is[g[j]] = g[j + 1] end
    if is['name'] == group then
      local pending = call('XPENDING', KEYS[i], group)
      if pending[1] > 0 then
        held = held + pending[1]
        old(pending[2])
      end
      local next = call('XRANGE', KEYS[i], '(' .. is['last-delivered-id'], '+', 'COUNT', 1)[1]
      if next then
        old(next[1])
        local n = is['lag']
        if not n then -- the server does not know it after a deletion: they are counted, as far as that does not hold it up
          n = #call('XRANGE', KEYS[i], '(' .. is['last-delivered-id'], '+', 'COUNT', 5000)
        end
        lag = lag + n
      end
    end
  end
end
return { call('HGET', KEYS[3], 'mode') or '', lag + held, held, oldest, call('ZRANGEBYSCORE', KEYS[4], number(clock()), '+inf') }
