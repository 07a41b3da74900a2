# A bolt over Storm's own adapter that deals its tuples out: by direct emits, to each task of `sink` in turn.
require "./storm"

class Deal < Storm::Bolt
  def prepare(_conf, context)
    sinks = context["task->component"].select { |_, component| component == "sink" }
    @tasks = sinks.keys.map(&:to_i).sort
    @n_dealt = 0
  end

  def process(tuple)
    task = @tasks[@n_dealt % @tasks.length]
    @n_dealt += 1
    emit([task, tuple.values[0]], :anchor => tuple, :direct_task => task)
    ack(tuple)
  end
end

Deal.new.run
