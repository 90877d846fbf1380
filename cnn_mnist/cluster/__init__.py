"""Everything that only several processes need; docs/clusters.md explains it on one page.

Chief and workers train in step, by TensorFlow's all-reduce; an evaluator scores the checkpoints.
The chief decides what is trained and when it is over, and it alone saves. Nobody goes on without
the others: whoever misses one ends and names it, and whoever started them starts all again.
"""
