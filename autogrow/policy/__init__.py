"""Whether, when, where and how much to grow, and when to stop: pure Python over recorded history."""
