-- Prints what one wrk run measured as one line of JSON; times are microseconds. An argument is the size of a body to
-- POST.
function init(args)
  if args[1] ~= nil then
    wrk.method = "POST"
    wrk.body = string.rep("a", tonumber(args[1]))
  end
end

function done(summary, latency)
  io.write(string.format(
    '{"requests":%d,"bytes":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,' ..
      '"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.connect, summary.errors.read, summary.errors.write, summary.errors.timeout, summary.errors.status
  ))
end
