# log_processor.py
import json
import os
from datetime import datetime

def process_log(plugin_config: dict, context: dict) -> dict:
    """
    Process log data from Migraine workflow
    
    Args:
        plugin_config: Configuration from the plugin YAML
        context: Runtime context with workflow data
        
    Returns:
        dict: Results of processing, can contain 'status', 'output', etc.
    """
    # Extract data from context
    command_output = context.get('output', '')
    command_name = context.get('command', '')
    workflow_name = context.get('workflow', {})
    
    # Extract plugin configuration
    log_file = plugin_config.get('log_file', './default.log')
    max_size = plugin_config.get('max_file_size', '10MB')
    
    # Process the data
    timestamp = datetime.now().isoformat()
    log_entry = f"[{timestamp}] [{workflow_name.get('name', 'unknown')}] [{command_name}]: {command_output}\n"
    
    # Write to file with size check
    if should_rotate(log_file, max_size):
        rotate_log(log_file)
    
    with open(log_file, 'a') as f:
        f.write(log_entry)
    
    return {
        'status': 'success',
        'output': f'Logged to {log_file}',
        'processed_lines': 1
    }

def should_rotate(log_file: str, max_size: str) -> bool:
    """Check if log file should be rotated based on size"""
    if not os.path.exists(log_file):
        return False
    
    size_map = {'KB': 1024, 'MB': 1024**2, 'GB': 1024**3}
    max_bytes = int(max_size[:-2]) * size_map[max_size[-2:]]
    
    return os.path.getsize(log_file) > max_bytes

def rotate_log(log_file: str):
    """Rotate the log file"""
    import shutil
    backup_file = f"{log_file}.old"
    if os.path.exists(backup_file):
        os.remove(backup_file)
    shutil.move(log_file, backup_file)
